/** Code of deployed processors in the database: once for each project, for as long as a record refers to it. */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Directory, Head } from "@millrace/engine";
import Database from "better-sqlite3";
import { createSqliteDirectory } from "millrace";
import { afterEach, beforeEach, expect, test } from "vitest";

let data: string;
let directory: Directory;
let look: Database.Database;
let fatal: string[];

const open = () => createSqliteDirectory({ directory: data, onFatal: (message) => fatal.push(message) });

beforeEach(() => {
  data = mkdtempSync(path.join(tmpdir(), "millrace-codes-"));
  fatal = [];
  directory = open();
  look = new Database(path.join(data, "millrace.db"), { readonly: true });
});

afterEach(async () => {
  look.close();
  await directory.close();
  rmSync(data, { recursive: true });
  expect(fatal).toEqual([]);
});

function deployed(code: string): string {
  const payload = JSON.stringify({ slug: "p", modules: { "processor.js": code } });
  return `"type":"https://events.iterate.com/events/stream/dynamic-worker/configured","payload":${payload},"createdAt":"2026-01-01T00:00:00.000Z"}`;
}

const bundle = (name: string) => `export const ${name} = "${name.repeat(400_000)}";`;

async function deployTo(streamPath: string, code: string, project = "public"): Promise<Head> {
  const log = directory.log(project, streamPath);
  const { head, birth } = await log.load();
  const first = head.offset + 1;
  const born = birth === undefined ? { birth: { streamId: `${streamPath} ${first}` } } : {};
  return (await log.append({ first, records: [deployed(code)], at: 1, keys: [], ...born }, head)).head;
}

const codes = () => look.prepare("SELECT count(*) FROM codes").pluck().get() as number;

/** The writer empties what was deleted between commits: asks until it has, bounded by the time of the test. */
async function untilCodes(expected: number): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (codes() !== expected && Date.now() < deadline) await directory.projects({ limit: 1 });
  expect(codes()).toBe(expected);
}

test("a hundred streams with one bundle take the room of one", async () => {
  for (let i = 0; i < 100; i++) await deployTo(`/${i}`, bundle("a"));
  await deployTo("/0", bundle("b"));
  await deployTo("/0", bundle("a"), "other");
  expect(codes()).toBe(3);
  await directory.close();
  expect(statSync(path.join(data, "millrace.db")).size).toBeLessThan(2 * 1024 * 1024);
  directory = open();
});

test("it goes with the last record that refers to it, in whichever life, over a restart too", async () => {
  await deployTo("/a", bundle("a"));
  await deployTo("/b", bundle("a"));
  const remove = async (streamPath: string) => {
    const log = directory.log("public", streamPath);
    await log.remove((await log.load()).head, null);
  };
  await remove("/a");
  await deployTo("/a", bundle("b"));
  await untilCodes(2);
  await remove("/b");
  await untilCodes(1);
  await remove("/a");
  await directory.close();
  directory = open();
  await untilCodes(0);
});

test("a commit that fails, alone or with its group, leaves none", async () => {
  const head = await deployTo("/a", bundle("a"));
  await deployTo("/a", bundle("a"));
  const late = { first: head.offset + 1, records: [deployed(bundle("b"))], at: 1, keys: [] };
  const log = directory.log("public", "/a");
  const fresh = (await log.load()).head;
  const inTime = { ...late, first: fresh.offset + 1, records: [deployed(bundle("c"))] };
  const outcomes = await Promise.allSettled([log.append(late, head), log.append(inTime, fresh)]);
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  expect(codes()).toBe(2);
});
