/** Secrets survive a server that is killed while it sets them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { place, url } from "./secret-places.ts";

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
      if (line === "begin") continue;
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

test("killed while it makes the key, it leaves what the next start can use", async () => {
  for (let round = 0; round < rounds; round++) {
    const { directory, open } = place();
    const setting = spawn(process.execPath, [child, directory, "0"], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(setting, "close");
    setting.stdout.once("data", () => setTimeout(() => setting.kill("SIGKILL"), round / 2));
    await ended;
    const before = open();
    const names = (await before.list("public")).map(({ name }) => name);
    await before.set("public", { name: "after", value: "v", hosts: ["api.example.com"] });
    expect((await open().list("public")).map(({ name }) => name)).toEqual([...names, "after"].sort());
  }
});
