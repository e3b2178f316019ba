/** What a store keeps over its end: everything that was answered. Only for adapters that persist. */
import type { Directory } from "@millrace/engine";
import { check, checkEqual, checkRejects } from "../check.ts";
import { deployments } from "./code-cases.ts";
import { born, type LogCase, type LogStore, record, records, StreamWriter, someTime } from "./log-case.ts";

async function reopen({ reopen: open }: LogStore): Promise<Directory> {
  if (open === undefined) throw new Error("an adapter that persists can reopen its store");
  return open();
}

/** Everything that can be asked of a directory, as plain data. */
async function everything(directory: Directory, paths: readonly string[], keys: readonly string[]): Promise<unknown> {
  const streams = [];
  for (const project of ["public", "other"]) {
    for (const path of paths) {
      const log = directory.log(project, path);
      const { head, ...loaded } = await log.load();
      const read = await log.read({ after: 0, through: 1e9, maxEvents: 1e9, maxBytes: 1e9 });
      const found = [...(await log.findKeys(keys)).values()];
      const folded = await log.consumerSnapshot("p");
      streams.push({ project, path, head: head.offset, loaded, read, found, folded });
    }
  }
  const { streams: due, nextDueAt } = await directory.due({ now: someTime, limit: 100 });
  return {
    streams,
    due: due.map(({ head, ...rest }) => ({ ...rest, head: head.offset })),
    nextDueAt,
    wakes: await directory.wakes({ after: 0, through: someTime, limit: 100 }),
    list: await directory.list({ project: "public", prefix: "/", depth: "all", limit: 1_000 }),
    projects: await directory.projects({ limit: 100 }),
    positions: await directory.readPositions({
      project: "public",
      prefix: "/",
      after: 0,
      maxEvents: 1e9,
      maxBytes: 1e9,
    }),
  };
}

export const reopenCases: readonly LogCase[] = [
  {
    name: "deployments are the same after close and open",
    async run(store) {
      for (const path of ["/a", "/b"]) await new StreamWriter(store.directory, path).append(deployments);
      const directory = await reopen(store);
      for (const path of ["/a", "/b"]) {
        const writer = new StreamWriter(directory, path);
        await writer.load();
        checkEqual(await writer.all(), deployments, `records of ${path}`);
      }
    },
  },
  {
    name: "everything is the same after close and open",
    async run(store) {
      const { directory } = store;
      const rich = new StreamWriter(directory, "/rich");
      const key = (n: number) => ({ key: `c:${n} 🦦`, offset: n, digest: `digest ${n}` });
      await rich.append(records(3), { claim: { dueAt: someTime, kind: "birth" }, keys: [key(2), key(3)] });
      await rich.append([record("x".repeat(300_000)), record("\ud83e\udda6 \u2028")], { paused: true });
      await rich.append([record(6)], { snapshot: { offset: 5, state: '{"a":"🦦"}' }, at: someTime + 1 });
      const progress = [
        { consumer: "p", text: '{"cursor":6}' },
        { consumer: "q 🦦", text: "" },
      ];
      await rich.append([], { progress, snapshots: [{ consumer: "p", offset: 6, state: "🦦" }], wakeAt: someTime + 7 });
      const reborn = await born(directory, "/reborn", 4);
      await reborn.remove({ dueAt: someTime - 1, kind: "deletion" });
      await reborn.append([record("again")], { claim: { dueAt: someTime + 50, kind: "tick" } });
      const gone = await born(directory, "/gone", 2);
      await gone.append([record(3)], { keys: [{ key: "c:gone", offset: 3, digest: "" }] });
      await gone.remove();
      await born(directory, "/rich", 2, "other");
      const paths = ["/rich", "/reborn", "/gone", "/nothing"];
      const keys = ["c:2 🦦", "c:3 🦦", "c:gone"];
      const before = await everything(directory, paths, keys);
      const opened = await reopen(store);
      checkEqual(await everything(opened, paths, keys), before, "everything");
      const again = await reopen(store);
      checkEqual(await everything(again, paths, keys), before, "everything, a second time");
    },
  },
  {
    name: "appends, removals and settles go on where they were",
    async run(store) {
      const writer = new StreamWriter(store.directory, "/a");
      await writer.append(records(3), { claim: { dueAt: 1, kind: "birth" } });
      const gone = await born(store.directory, "/gone", 3);
      await gone.remove({ dueAt: 1, kind: "deletion" });
      const { position } = await writer.append([record(4)]);
      const directory = await reopen(store);
      const next = new StreamWriter(directory, "/a");
      await next.load();
      const commit = next.commit([record("stale")], { first: 4 });
      await checkRejects(next.log.append(commit, { ...next.head, offset: 3 }), "HeadConflict", "a stale head");
      const committed = await next.append([record(5)]);
      check(committed.position > position, `position ${committed.position} after ${position}`);
      checkEqual(await next.all(), records(5), "records");
      const { streams } = await directory.due({ now: 5, limit: 10 });
      for (const { head, claim } of streams)
        checkEqual(await directory.settle(head, claim.kind, null), true, claim.kind);
      checkEqual(streams.length, 2, "claims");
      const reborn = new StreamWriter(directory, "/gone");
      checkEqual((await reborn.append([record("again")])).head.offset, 4, "head of the next life");
    },
  },
  {
    name: "positions rise over a close, also when the newest streams were removed before it",
    async run(store) {
      let { directory } = store;
      let last = 0;
      for (let round = 0; round < 5; round++) {
        const writer = await born(directory, `/a${round}`, 2);
        const { position } = await writer.append(records(3, 3));
        check(position > last, `position ${position} after ${last}`);
        last = position;
        await writer.remove();
        // In every second round the store has time to forget the stream before it closes.
        if (round % 2 === 0) for (let i = 0; i < 50; i++) await directory.log("public", "/a").load();
        directory = await reopen(store);
      }
    },
  },
  {
    name: "a close answers whoever still asks",
    async run(store) {
      const { directory } = store;
      const writer = await born(directory, "/a", 3);
      const asked = [
        directory.list({ project: "public", prefix: "/", depth: "all", limit: 10 }),
        directory.projects({ limit: 10 }),
        directory.due({ now: 1, limit: 10 }),
        writer.log.load(),
        writer.log.read({ after: 0, through: 3, maxEvents: 10, maxBytes: 1e6 }),
        writer.log.findKeys(["c:k"]),
      ];
      await reopen(store);
      await Promise.all(asked);
    },
  },
  {
    name: "a close finishes what was begun",
    async run(store) {
      const writers = Array.from({ length: 20 }, (_, n) => new StreamWriter(store.directory, `/a${n}`));
      for (const writer of writers) await writer.load();
      const begun = Promise.allSettled(writers.map((writer) => writer.append(records(3))));
      const directory = await reopen(store);
      const outcomes = await begun;
      for (const [i, outcome] of outcomes.entries()) {
        const { path } = writers[i] as StreamWriter;
        checkEqual(outcome.status, "fulfilled", `the append to ${path}`);
        const found = new StreamWriter(directory, path);
        await found.load();
        checkEqual(await found.all(), records(3), path);
      }
    },
  },
];
