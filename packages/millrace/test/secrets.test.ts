/** Secrets at rest: the suite of the port, and what a data directory may look like when a server starts on it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Secrets } from "@millrace/engine";
import type { Limits } from "@millrace/protocol";
import { describeSecrets, type SecretsStore } from "@millrace/testing";
import { createFileSecrets, createMemorySecrets } from "millrace";
import { describe, expect, onTestFinished, test } from "vitest";
import { temporaryDirectory } from "../../../test/processes/server-process.ts";

const url = "https://api.example.com/v1";
const hosts = ["api.example.com"];
const someKey = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

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

interface Place {
  directory: string;
  file: string;
  keyFile: string;
  open(key?: string): Secrets;
}

function place(): Place {
  const { directory, remove } = temporaryDirectory();
  onTestFinished(remove);
  const file = path.join(directory, "secrets.json");
  const keyFile = path.join(directory, "secrets.key");
  return {
    directory,
    file,
    keyFile,
    open: (key) => createFileSecrets({ directory, ...(key === undefined ? {} : { key }) }),
  };
}

/** With two secrets in it, of a server that has ended. */
async function filled(key?: string): Promise<Place> {
  const at = place();
  const secrets = at.open(key);
  await secrets.set("public", { name: "A", value: "value-of-A", hosts });
  await secrets.set("public", { name: "B", value: "value-of-B", hosts: ["b.example"] });
  return at;
}

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
});

interface BadState {
  state: string;
  make(at: Place): void;
  key?: string;
  /** Of the message; `<file>` and `<key file>` are the two paths. */
  says: string;
}

interface Entry {
  project: string;
  name: string;
  hosts: string[];
  sealed: string;
}

interface Content {
  version: number;
  secrets: Entry[];
}

/** A state in which somebody has changed the file. */
function edited(change: (content: Content, a: Entry, b: Entry) => object): BadState["make"] {
  return ({ file }) => {
    const content = JSON.parse(readFileSync(file, "utf8")) as Content;
    const [a, b] = content.secrets as [Entry, Entry];
    writeFileSync(file, JSON.stringify({ ...content, ...change(content, a, b) }));
  };
}

const flipped = (sealed: string): string => {
  const bytes = Buffer.from(sealed, "base64");
  bytes[20] = (bytes[20] as number) ^ 1;
  return bytes.toString("base64");
};

const byHand = (name: string) =>
  `The secret "${name}" of project "public" in <file> is damaged, or was changed by another hand. Restore the file`;

const badStates: BadState[] = [
  {
    state: "the key is missing",
    make: ({ keyFile }) => rmSync(keyFile),
    says: "<key file> is missing, and <file> was sealed with it. Restore it from a copy, or give the key in MILLRACE_SECRETS_KEY.",
  },
  {
    state: "the key is of another server",
    make: ({ keyFile }) => writeFileSync(keyFile, someKey),
    says: "<file> was sealed with another key than that in <key file>. Restore the right one.",
  },
  {
    state: "the key of the environment is another one",
    make: () => {},
    key: someKey,
    says: "<file> was sealed with another key than that of MILLRACE_SECRETS_KEY.",
  },
  {
    state: "the key is cut off",
    make: ({ keyFile }) => truncateSync(keyFile, 30),
    says: "<key file> is damaged: it is no key of 32 bytes. Restore it",
  },
  {
    state: "the key is empty",
    make: ({ keyFile }) => truncateSync(keyFile, 0),
    says: "<key file> is damaged",
  },
  {
    state: "the key is something large",
    make: ({ keyFile }) => writeFileSync(keyFile, someKey.repeat(100)),
    says: "<key file> is damaged",
  },
  {
    state: "the key is a directory",
    make({ keyFile }) {
      rmSync(keyFile);
      mkdirSync(keyFile, { mode: 0o700 });
    },
    says: "<key file> is damaged",
  },
  {
    state: "others can read the key",
    make: ({ keyFile }) => chmodSync(keyFile, 0o644),
    says: '<key file> is open to other users (mode 0644). Close it with "chmod 600 <key file>"',
  },
  {
    state: "the group can write the key",
    make: ({ keyFile }) => chmodSync(keyFile, 0o620),
    says: "<key file> is open to other users (mode 0620)",
  },
  {
    state: "the secrets are cut off",
    make: ({ file }) => truncateSync(file, 200),
    says: "<file> is damaged: it is no JSON. Restore it from a copy",
  },
  {
    state: "the secrets are empty",
    make: ({ file }) => truncateSync(file, 0),
    says: "<file> is damaged: it is no JSON",
  },
  {
    state: "the secrets are a directory",
    make({ file }) {
      rmSync(file);
      mkdirSync(file);
    },
    says: "<file> cannot be used",
  },
  {
    state: "the secrets are something else",
    make: ({ file }) => writeFileSync(file, "[1]"),
    says: "<file> is damaged: it has no version",
  },
  {
    state: "the secrets are of a newer version",
    make: edited(() => ({ version: 2 })),
    says: "<file> is of version 2; this Millrace reads version 1. Use the Millrace that wrote it.",
  },
  {
    state: "an entry is none",
    make: edited((_, a, { name }) => ({ secrets: [a, { name }] })),
    says: "<file> is damaged: entry 2 is no secret",
  },
  {
    state: "an entry is there twice",
    make: edited((_, a, b) => ({ secrets: [a, b, a] })),
    says: "<file> is damaged: it has two secrets of one name",
  },
  {
    state: "a value is damaged",
    make: edited((_, a, b) => ({ secrets: [{ ...a, sealed: flipped(a.sealed) }, b] })),
    says: byHand("A"),
  },
  {
    state: "a value is cut off",
    make: edited((_, a, b) => ({ secrets: [{ ...a, sealed: "AAAA" }, b] })),
    says: byHand("A"),
  },
  {
    state: "a secret is pinned elsewhere by hand",
    make: edited((_, a, b) => ({ secrets: [{ ...a, hosts: ["evil.example"] }, b] })),
    says: byHand("A"),
  },
  {
    state: "a secret has one host more",
    make: edited((_, a, b) => ({ secrets: [a, { ...b, hosts: [...b.hosts, "evil.example"] }] })),
    says: byHand("B"),
  },
  {
    state: "the value of one secret is moved to another",
    make: edited((_, a, b) => ({ secrets: [a, { ...b, sealed: a.sealed }] })),
    says: byHand("B"),
  },
  {
    state: "a secret is moved to another project",
    make: edited((_, a, b) => ({ secrets: [{ ...a, project: "other" }, b] })),
    says: 'The secret "A" of project "other"',
  },
  {
    state: "a secret has another name",
    make: edited((_, a, b) => ({ secrets: [{ ...a, name: "C" }, b] })),
    says: byHand("C"),
  },
];

describe("a start on a directory in which", () => {
  test.each(badStates)("$state ends with one line that says what to do", async ({ make, key, says }) => {
    const at = await filled();
    make(at);
    const before = readdirSync(at.directory).sort();
    const error = faultOf(() => at.open(key));
    expect(error.name).toBe("DataFault");
    const message = error.message.replaceAll(at.keyFile, "<key file>").replaceAll(at.file, "<file>");
    expect(message).toContain(says);
    expect(message).not.toContain("\n");
    expect(message).not.toMatch(/value-of|00112233/);
    expect(readdirSync(at.directory).sort()).toEqual(before);
  });

  test.each([
    ["empty", ""],
    ["short", "abc"],
    ["a passphrase", "correct horse battery staple"],
    ["one hex character short", someKey.slice(1)],
    ["16 bytes", "00112233445566778899aabbccddeeff"],
    ["no base64", `${"?".repeat(43)}=`],
    ["33 bytes", Buffer.alloc(33, 1).toString("base64")],
  ])("MILLRACE_SECRETS_KEY is %s: so too, and its value is not said", (_, key) => {
    const error = faultOf(() => place().open(key));
    expect(error.name).toBe("DataFault");
    expect(error.message).toContain("MILLRACE_SECRETS_KEY is a key of 32 bytes");
    if (key !== "") expect(error.message).not.toContain(key);
  });

  test("a key that lost its secrets file is a start with nothing", async () => {
    const at = await filled();
    rmSync(at.file);
    expect(await at.open().list("public")).toEqual([]);
  });

  test("a key that was only derived from is missed as well", async () => {
    const at = place();
    await at.open().derive(["x"]);
    rmSync(at.keyFile);
    expect(faultOf(() => at.open()).message).toContain("is missing");
  });
});

function faultOf(run: () => unknown): Error {
  try {
    run();
  } catch (error) {
    return error as Error;
  }
  throw new Error("it was not refused");
}

/** Sets secrets one after the other, and says each number that is on disk. */
const child = fileURLToPath(new URL("set-secrets.mjs", import.meta.url));
const rounds = process.env.MILLRACE_LONG === "1" ? 60 : 12;

test(`killed ${rounds} times while it sets secrets, it never loses one that it said was set`, async () => {
  const { directory, open } = place();
  let last = 0;
  for (let round = 0; round < rounds; round++) {
    const setting = spawn(process.execPath, [child, directory, String(last)], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(setting, "close");
    const killAfter = last + 1 + ((round * 7) % 23);
    // In the middle of what comes behind the number: another fraction of a write in each round.
    for await (const line of createInterface({ input: setting.stdout })) {
      last = Number(line);
      if (last === killAfter) setTimeout(() => setting.kill("SIGKILL"), (round % 6) * 0.7);
    }
    await ended;
    const secrets = open();
    const value = Number(await secrets.reveal("public", "counter", url));
    expect(value === last || value === last + 1, `said ${last}, found ${value}`).toBe(true);
    last = value;
    expect(await secrets.list("public")).toHaveLength(41);
  }
  expect(last).toBeGreaterThan(rounds);
});
