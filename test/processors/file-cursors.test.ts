/** Cursors in a file: what was saved is there after any end, one process has it, and damage is said. */
import { once } from "node:events";
import { appendFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { fileCursors } from "@millrace/sdk/node";
import type { StoredCursor } from "@millrace/sdk/processor";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { spawnProgram, temporaryDirectory } from "../processes/server-process.ts";

const sdk = fileURLToPath(new URL("../../packages/sdk/dist/node/index.js", import.meta.url));
const cursor = (cursor: number): StoredCursor => ({ streamId: "s", progress: JSON.stringify({ cursor }) });

let file: string;

beforeEach(() => {
  const { directory, remove } = temporaryDirectory();
  file = path.join(directory, "cursors.jsonl");
  onTestFinished(remove);
});

function program(code: string) {
  const source = `import { fileCursors } from ${JSON.stringify(sdk)}; const file = ${JSON.stringify(file)}; ${code}`;
  return spawnProgram(process.execPath, ["--input-type=module", "-e", source]);
}

async function saved(): Promise<Record<string, StoredCursor | undefined>> {
  const cursors = fileCursors(file);
  const paths = await cursors.paths();
  const all = await Promise.all(paths.map(async (name) => [name, await cursors.load(name)] as const));
  await cursors.close?.();
  return Object.fromEntries(all);
}

test("what was saved and not forgotten is there again, also in a directory that is named instead of a file", async () => {
  const cursors = fileCursors(`${path.dirname(file)}/`);
  expect(await cursors.load("/a")).toBe(undefined);
  await cursors.save("/a", cursor(1));
  await cursors.save("/a", { ...cursor(2), snapshot: { offset: 2, state: '"\u2028"' }, halts: 1 });
  await cursors.save("/b", cursor(3));
  await cursors.forget("/b");
  await cursors.forget("/unknown");
  await cursors.close?.();
  expect(await saved()).toEqual({ "/a": { ...cursor(2), snapshot: { offset: 2, state: '"\u2028"' }, halts: 1 } });
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("a save costs what it says: not the other thousand, and what is old does not pile up", async () => {
  const cursors = fileCursors(file);
  const state = "x".repeat(1_000);
  const save = (i: number, round: number) =>
    cursors.save(`/s/${i}`, { ...cursor(round), snapshot: { offset: round, state } });
  await Promise.all(Array.from({ length: 1_000 }, (_, i) => save(i, 0)));
  const before = statSync(file).size;
  await save(7, 1);
  expect(statSync(file).size - before).toBeLessThan(1_500);
  for (let round = 2; round < 10; round++) await Promise.all(Array.from({ length: 1_000 }, (_, i) => save(i, round)));
  expect(statSync(file).size).toBeLessThan(4 * before);
  await cursors.close?.();
  const all = await saved();
  expect(Object.keys(all)).toHaveLength(1_000);
  expect(new Set(Object.values(all).map((each) => each?.snapshot?.offset))).toEqual(new Set([9]));
});

test("killed while it saves: every save that had resolved is there, and the next process takes over", async () => {
  for (let round = 0; round < 5; round++) {
    const { child, output, exited } = program(`
      const cursors = fileCursors(file);
      const state = "x".repeat(50_000);
      for (let i = ${round * 1_000_000}; ; i++) {
        await Promise.all(["/a", "/b"].map((path) =>
          cursors.save(path, { streamId: "s", progress: JSON.stringify({ cursor: i }), snapshot: { offset: i, state } })));
        process.stdout.write(i + "\\n");
      }`);
    while (output().stdout.split("\n").length < 20 + 17 * round)
      await once(child.stdout as NodeJS.ReadableStream, "data");
    child.kill("SIGKILL");
    const { stdout } = await exited;
    const last = Number(stdout.slice(0, stdout.lastIndexOf("\n")).split("\n").at(-1));
    for (const name of ["/a", "/b"]) {
      const { cursor: found } = JSON.parse((await saved())[name]?.progress ?? "") as { cursor: number };
      expect(found).toBeGreaterThanOrEqual(last);
      expect(found).toBeLessThanOrEqual(last + 2);
    }
  }
});

test("a second process, and a second run of this one, are refused and told who has it", async () => {
  const cursors = fileCursors(file);
  await cursors.save("/a", cursor(1));
  await expect(fileCursors(file).load("/a")).rejects.toThrow(
    `${file} is in use by this process (${process.pid}) since `,
  );
  const { stderr } = await program("await fileCursors(file).load('/a');").exited;
  expect(stderr).toContain(`${file} is in use by the process ${process.pid} of ${hostname()} since `);
  await cursors.close?.();
  expect(existsSync(`${file}.lock`)).toBe(false);
  const { code } = await program("await fileCursors(file).load('/a');").exited;
  expect(code).toBe(0);
});

test("a lock of a process that is no more is taken over, by exactly one of several", async () => {
  const dead = program("");
  await dead.exited;
  for (const note of [
    { pid: dead.child.pid, host: hostname(), since: "then" },
    // The number of this very process, left behind by one that had it before.
    { pid: process.pid, host: hostname(), since: "then" },
    // A number that was given to another one since.
    { pid: process.ppid, host: hostname(), began: "0", since: "then" },
  ]) {
    if (note.began !== undefined && !existsSync("/proc/self/stat")) continue;
    writeFileSync(`${file}.lock`, `${JSON.stringify(note)}\n`);
    const rivals = [fileCursors(file), fileCursors(file), fileCursors(file)];
    const outcomes = await Promise.allSettled(rivals.map((each) => each.paths()));
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected", "rejected"]);
    for (const rival of rivals) await rival.close?.();
  }
  writeFileSync(`${file}.lock`, JSON.stringify({ pid: 1, host: "elsewhere", since: "then" }));
  await expect(fileCursors(file).paths()).rejects.toThrow("If that machine is no more, remove");
});

test("a line that was cut off by a crash is dropped; any other damage is said, and nothing is written", async () => {
  const cursors = fileCursors(file);
  await cursors.save("/a", cursor(1));
  await cursors.close?.();
  appendFileSync(file, '{"path":"/a","cursor":{"str');
  expect(await saved()).toEqual({ "/a": cursor(1) });
  const whole = readFileSync(file, "utf8");
  writeFileSync(file, whole.replace('"path"', "path"));
  await expect(fileCursors(file).paths()).rejects.toThrow(`${file} is damaged in line 2. Put back a copy of it`);
  expect(readFileSync(file, "utf8")).toContain("{path:");
  truncateSync(file, 0);
  await expect(fileCursors(file).paths()).rejects.toThrow(`${file} is empty: it is no file of cursors.`);
  writeFileSync(file, '{"name":"package.json"}\n');
  await expect(fileCursors(file).paths()).rejects.toThrow(`${file} holds something else: it is no file of cursors.`);
  // Whoever was refused has left no lock behind.
  expect(existsSync(`${file}.lock`)).toBe(false);
});
