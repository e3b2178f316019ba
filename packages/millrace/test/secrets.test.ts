/** Secrets at rest: the suite of the port for each adapter, and what lies on the disk. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { Limits } from "@millrace/protocol";
import { describeSecrets, type SecretsStore } from "@millrace/testing";
import { createFileSecrets, createMemorySecrets } from "millrace";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "../../../test/processes/server-process.ts";
import { filled, hosts, place, someKey, url } from "./secret-places.ts";

async function fileStore(limits: Partial<Limits>, key?: string): Promise<SecretsStore> {
  const { directory, remove } = temporaryDirectory();
  const open = () => createFileSecrets({ directory, limits, ...(key === undefined ? {} : { key }) });
  return { secrets: open(), reopen: async () => open(), dispose: async () => remove() };
}

const stores: [string, (limits: Partial<Limits>) => Promise<SecretsStore>, boolean][] = [
  [
    "secrets in memory",
    async (limits) => ({ secrets: createMemorySecrets({ limits }), dispose: async () => {} }),
    false,
  ],
  ["secrets in a file", (limits) => fileStore(limits), true],
  ["secrets in a file, with a key of the environment", (limits) => fileStore(limits, someKey), true],
];

describe.each(stores)("%s", (_, create, persistent) => {
  const cases = describeSecrets(create, { persistent });

  test.each(cases)("$name", ({ run }) => run());

  test("no case was left out", () => {
    expect(cases.length).toBe(persistent ? 13 : 11);
  });
});

const modeOf = (file: string) => statSync(file).mode & 0o777;

describe("at rest", () => {
  test("nothing is made before the first use, not by questions either", async () => {
    const { directory, open } = place();
    const secrets = open();
    await secrets.list("public");
    await secrets.remove("public", "A");
    await expect(secrets.reveal("public", "A", url)).rejects.toThrow("There is no secret");
    expect(readdirSync(directory)).toEqual([]);
  });

  test("two files that only their owner can read, and no value in them", async () => {
    const { directory, file, keyFile } = await filled();
    expect(readdirSync(directory).sort()).toEqual(["secrets.json", "secrets.key"]);
    expect([modeOf(file), modeOf(keyFile)]).toEqual([0o600, 0o600]);
    const text = readFileSync(file, "utf8");
    for (const value of ["value-of-A", "value-of-B"]) {
      expect(text).not.toContain(value);
      expect(text).not.toContain(Buffer.from(value).toString("base64"));
    }
    expect(text).not.toContain(readFileSync(keyFile, "utf8").trim());
  });

  test("with a key of the environment there is no key file; hex and base64 are the same key", async () => {
    const { keyFile, open } = await filled(someKey);
    expect(existsSync(keyFile)).toBe(false);
    const bytes = Buffer.from(someKey, "hex");
    for (const key of [someKey.toUpperCase(), `${bytes.toString("base64")}\n`, bytes.toString("base64url")]) {
      expect(await open(key).reveal("public", "A", url)).toBe("value-of-A");
    }
  });

  test("the key of the file can be moved to the environment", async () => {
    const { keyFile, open } = await filled();
    const key = readFileSync(keyFile, "utf8");
    rmSync(keyFile);
    expect(await open(key).reveal("public", "A", url)).toBe("value-of-A");
  });

  test("the same value is never sealed to the same text", async () => {
    const { file, open } = place();
    const secrets = open();
    const sealed = new Set<string>();
    for (let i = 0; i < 5; i++) {
      await secrets.set("public", { name: "A", value: "same", hosts });
      sealed.add(JSON.parse(readFileSync(file, "utf8")).secrets[0].sealed.slice(0, 16));
    }
    expect(sealed.size).toBe(5);
  });

  test("what somebody who was killed has left is no trouble", async () => {
    const { directory, file, open } = await filled();
    writeFileSync(`${file}.new`, "half of it");
    await open().set("public", { name: "C", value: "c", hosts });
    expect(readdirSync(directory).sort()).toEqual(["secrets.json", "secrets.key"]);
    expect(await open().list("public")).toHaveLength(3);
  });

  test("what could not be written is refused, and is not there; then it goes on", async () => {
    const { directory, file, open } = await filled();
    const secrets = open();
    // A directory where the temporary file goes: in the way of root as well.
    mkdirSync(`${file}.new`);
    await expect(secrets.set("public", { name: "C", value: "value-of-C", hosts })).rejects.toThrow(/EISDIR|directory/);
    expect((await secrets.list("public")).map(({ name }) => name)).toEqual(["A", "B"]);
    rmSync(`${file}.new`, { recursive: true });
    await secrets.set("public", { name: "C", value: "value-of-C", hosts });
    expect(await open().reveal("public", "C", url)).toBe("value-of-C");
    expect(readdirSync(directory)).toHaveLength(2);
  });

  test.each(["https://api.example.org/hook", "https://api.example.org:8443/", "http://127.0.0.1:4000/hook"])(
    "what the refusal to send it to %s suggests lets it go there",
    async (elsewhere) => {
      const { open } = await filled();
      const secrets = open();
      const refusal = await secrets.reveal("public", "A", elsewhere).catch((error: Error) => error.message);
      const suggested = /--host (\S+)\.$/.exec(refusal)?.[1] as string;
      await secrets.set("public", { name: "A", value: "another", hosts: [suggested] });
      expect(await secrets.reveal("public", "A", elsewhere)).toBe("another");
    },
  );

  test("where a limit is lower than before, those that are there can still be replaced", async () => {
    const { directory, open } = await filled();
    const secrets = createFileSecrets({ directory, limits: { secretsPerProject: 1 } });
    await secrets.set("public", { name: "A", value: "another", hosts });
    expect(await open().reveal("public", "A", url)).toBe("another");
    await expect(secrets.set("public", { name: "C", value: "c", hosts })).rejects.toThrow("at most 1 secrets");
  });
});
