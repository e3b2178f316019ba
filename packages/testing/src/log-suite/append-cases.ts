/** Birth, append and the head check. */
import { check, checkEqual, checkRejects } from "../check.ts";
import { born, type LogCase, listAll, record, records, StreamWriter, someTime } from "./log-case.ts";

export const appendCases: readonly LogCase[] = [
  {
    name: "a path that never had a stream loads as nothing",
    async run({ directory }) {
      const log = directory.log("public", "/nothing");
      const loaded = await log.load();
      checkEqual(loaded.head.offset, 0, "head");
      checkEqual(
        { ...loaded, head: 0 },
        { head: 0, lastEventAt: 0, claim: null, wakeAt: null, progress: [] },
        "what was loaded",
      );
      const range = { after: 0, through: 10, maxEvents: 10, maxBytes: 1_000 };
      checkEqual((await log.read(range)).records, [], "records");
      checkEqual((await log.findKeys(["c:a", "c:b"])).size, 0, "keys");
      checkEqual(await listAll(directory), [], "the list");
      checkEqual(await directory.projects({ limit: 10 }), { projects: [], next: null }, "projects");
      checkEqual(await directory.due({ now: 1e15, limit: 10 }), { streams: [], nextDueAt: null }, "due");
    },
  },
  {
    name: "a birth is there for every handle",
    async run({ directory }) {
      const writer = new StreamWriter(directory, "/a");
      const texts = records(2);
      const committed = await writer.append(texts, { birth: { streamId: "the-id" }, at: someTime + 5 });
      checkEqual(committed.head.offset, 2, "head");
      check(committed.position > 0, "positions begin above 0");
      const other = new StreamWriter(directory, "/a");
      const loaded = await other.load();
      checkEqual(loaded.head.offset, 2, "loaded head");
      checkEqual(loaded.birth, { streamId: "the-id", offset: 1, at: someTime + 5 }, "birth");
      checkEqual([loaded.lastEventAt, loaded.claim, loaded.snapshot], [someTime + 5, null, undefined], "the rest");
      checkEqual(await other.all(), texts, "records");
    },
  },
  {
    name: "appends go on from the head that the one before gave",
    async run({ directory }) {
      const writer = await born(directory, "/a", 1);
      for (let i = 2; i <= 30; i++) {
        checkEqual((await writer.append([record(i)], { at: someTime + i })).head.offset, i, "head");
      }
      const other = new StreamWriter(directory, "/a");
      checkEqual((await other.load()).lastEventAt, someTime + 30, "time of the last event");
      checkEqual((await other.append([record(31)])).head.offset, 31, "head by way of a load");
      checkEqual(await other.all(), records(31), "records");
    },
  },
  {
    name: "another head is a conflict, and nothing of the commit is written",
    async run({ directory }) {
      const writer = await born(directory, "/a", 3);
      const stale = writer.head;
      await writer.append([record(4)]);
      const before = await writer.log.load();
      const commit = writer.commit([record("stale")], {
        first: 4,
        keys: [{ key: "c:stale", offset: 4, digest: "d" }],
        paused: true,
        claim: { dueAt: someTime, kind: "stale" },
        snapshot: { offset: 4, state: "stale" },
      });
      await checkRejects(writer.log.append(commit, stale), "HeadConflict", "a stale head");
      checkEqual(await writer.log.load(), before, "what is loaded");
      checkEqual(await writer.all(), records(4), "records");
      checkEqual((await writer.log.findKeys(["c:stale"])).size, 0, "keys");
      checkEqual((await directory.due({ now: 1e15, limit: 10 })).streams.length, 0, "claims");
      const { streams } = await directory.list({ project: "public", prefix: "/", depth: "all", limit: 10 });
      checkEqual(streams[0]?.paused, false, "paused");
      await writer.append([record(5)], { keys: [{ key: "c:stale", offset: 5, digest: "d" }] });
      checkEqual((await writer.log.findKeys(["c:stale"])).get("c:stale")?.offset, 5, "the key, used now");
    },
  },
  {
    name: "a birth where a stream lives is a conflict",
    async run({ directory }) {
      const writer = await born(directory, "/a", 3);
      const commit = writer.commit([record("usurper")], { birth: { streamId: "another" } });
      await checkRejects(writer.log.append(commit, writer.head), "HeadConflict", "a second birth");
      checkEqual(await writer.all(), records(3), "records");
      await writer.append([record(4)]);
    },
  },
  {
    name: "an append without a birth where no stream lives is a conflict",
    async run({ directory }) {
      const log = directory.log("public", "/a");
      const commit = { first: 1, records: records(1), at: someTime, keys: [] };
      await checkRejects(log.append(commit, (await log.load()).head), "HeadConflict", "never born");
      const writer = await born(directory, "/a", 3);
      await writer.remove();
      await checkRejects(log.append({ ...commit, first: 4 }, writer.head), "HeadConflict", "deleted");
      checkEqual(await listAll(directory), [], "the list");
    },
  },
  {
    name: "of many that race from one head exactly one wins",
    async run({ directory }) {
      const writer = await born(directory, "/a", 1);
      const outcomes = await Promise.allSettled(
        Array.from({ length: 10 }, (_, i) => writer.log.append(writer.commit([record(`racer ${i}`)]), writer.head)),
      );
      checkEqual(outcomes.filter(({ status }) => status === "fulfilled").length, 1, "winners");
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") checkEqual(outcome.reason.name, "HeadConflict", "why the others lost");
      }
      checkEqual((await writer.all()).length, 2, "events");
    },
  },
  {
    name: "of two births at one path exactly one wins",
    async run({ directory }) {
      const writers = [1, 2].map(() => new StreamWriter(directory, "/a"));
      for (const writer of writers) await writer.load();
      const outcomes = await Promise.allSettled(writers.map((writer) => writer.append(records(2))));
      checkEqual(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected"], "outcomes");
      checkEqual(
        (await directory.list({ project: "public", prefix: "/", depth: "all", limit: 10 })).streams.length,
        1,
        "streams",
      );
    },
  },
  {
    name: "a snapshot comes back as it was, and the last one counts",
    async run({ directory }) {
      const writer = await born(directory, "/a", 1);
      const state = JSON.stringify({ text: 'quotes " and \\ and \u2028 and 🦦', long: "x".repeat(100_000) });
      await writer.append([record(2)], { snapshot: { offset: 2, state: "old" } });
      await writer.append([record(3)], { snapshot: { offset: 3, state } });
      await writer.append([record(4)]);
      checkEqual((await writer.log.load()).snapshot, { offset: 3, state }, "snapshot");
    },
  },
];
