/** One life of a path after the other: nothing of the old one is left, but its head and what it still owes. */
import { checkEqual, checkRejects } from "../check.ts";
import { born, type LogCase, listAll, record, records, StreamWriter, someTime } from "./log-case.ts";

export const removalCases: readonly LogCase[] = [
  {
    name: "a removed path is empty, and keeps its head and its last time",
    async run({ directory }) {
      const writer = await born(directory, "/a", 1);
      await writer.append(records(4, 2), {
        at: someTime + 7,
        keys: [{ key: "c:k", offset: 2, digest: "d" }],
        snapshot: { offset: 5, state: "old" },
        paused: true,
      });
      const { head } = await writer.remove();
      checkEqual(head.offset, 5, "the head of the removal");
      checkEqual(await writer.all(), [], "records, by the handle that removed it");
      checkEqual((await writer.log.findKeys(["c:k"])).size, 0, "keys, by the handle that removed it");
      for (const log of [writer.log, directory.log("public", "/a")]) {
        const loaded = await log.load();
        checkEqual(loaded.head.offset, 5, "head");
        checkEqual(
          { ...loaded, head: 0 },
          { head: 0, lastEventAt: someTime + 7, claim: null, wakeAt: null, progress: [] },
          "what is loaded",
        );
        checkEqual((await log.read({ after: 0, through: 5, maxEvents: 9, maxBytes: 1e6 })).records, [], "records");
        checkEqual((await log.findKeys(["c:k"])).size, 0, "keys");
      }
      checkEqual(await listAll(directory), [], "the list");
      checkEqual((await directory.projects({ limit: 10 })).projects, ["public"], "projects");
    },
  },
  {
    name: "the next life begins behind the head, and with nothing of the old one",
    async run({ directory }) {
      const writer = await born(directory, "/a", 1);
      const key = { key: "c:k", digest: "d" };
      await writer.append(records(4, 2), {
        keys: [{ ...key, offset: 2 }],
        snapshot: { offset: 5, state: "old" },
        paused: true,
        claim: { dueAt: someTime, kind: "x" },
      });
      await writer.remove();
      await writer.append(records(2, 6), { birth: { streamId: "second" }, at: someTime + 9 });
      const loaded = await writer.log.load();
      checkEqual(loaded.head.offset, 7, "head");
      checkEqual(
        { ...loaded, head: 0 },
        {
          head: 0,
          birth: { streamId: "second", offset: 6, at: someTime + 9 },
          lastEventAt: someTime + 9,
          claim: null,
          wakeAt: null,
          progress: [],
        },
        "what is loaded",
      );
      for (const after of [0, 3, 5]) {
        const page = await writer.log.read({ after, through: 1e9, maxEvents: 9, maxBytes: 1e6 });
        checkEqual(page, { first: 6, records: records(2, 6) }, `read after ${after}`);
      }
      checkEqual(
        (await writer.log.read({ after: 0, through: 5, maxEvents: 9, maxBytes: 1e6 })).records,
        [],
        "old offsets",
      );
      checkEqual((await writer.log.findKeys(["c:k"])).size, 0, "the old key");
      await writer.append([record(8)], { keys: [{ ...key, offset: 8 }] });
      checkEqual((await writer.log.findKeys(["c:k"])).get("c:k")?.offset, 8, "the key, used again");
      const { streams } = await directory.list({ project: "public", prefix: "/", depth: "all", limit: 9 });
      checkEqual(
        streams,
        [{ path: "/a", head: 8, createdAt: someTime + 9, lastEventAt: someTime, paused: false }],
        "the list",
      );
    },
  },
  {
    name: "a removal from another head, of nothing, or a second time is a conflict",
    async run({ directory }) {
      const nothing = new StreamWriter(directory, "/nothing");
      await nothing.load();
      await checkRejects(nothing.remove(), "HeadConflict", "never born");
      const writer = await born(directory, "/a", 2);
      const stale = writer.head;
      await writer.append([record(3)]);
      await checkRejects(writer.log.remove(stale, { dueAt: 1, kind: "x" }), "HeadConflict", "a stale head");
      checkEqual(await writer.all(), records(3), "nothing was removed");
      await writer.remove();
      await checkRejects(writer.log.remove(writer.head, null), "HeadConflict", "a second time");
      const commit = { ...writer.commit([record(4)]), birth: { streamId: "second" } };
      await checkRejects(writer.log.append(commit, stale), "HeadConflict", "a birth from a stale head");
    },
  },
  {
    name: "an append and a removal from one head: exactly one wins",
    async run({ directory }) {
      for (let round = 0; round < 10; round++) {
        const writer = await born(directory, `/a${round}`, 2);
        const append = () => writer.log.append(writer.commit([record(3)]), writer.head);
        const remove = () => writer.log.remove(writer.head, null);
        const racers = round % 2 === 0 ? [append(), remove()] : [remove(), append()];
        const outcomes = await Promise.allSettled(racers);
        checkEqual(
          outcomes.map(({ status }) => status),
          ["fulfilled", "rejected"],
          "the first one wins",
        );
      }
    },
  },
  {
    name: "what an old life owes is due and settled beside the new life",
    async run({ directory }) {
      const writer = await born(directory, "/a", 3);
      await writer.remove({ dueAt: 1, kind: "deletion" });
      await writer.append([record(4)], { birth: { streamId: "second" }, claim: { dueAt: 2, kind: "deletion" } });
      const { streams } = await directory.due({ now: 5, limit: 10 });
      checkEqual(
        streams.map(({ streamId, head, birthOffset, deleted, claim }) => [
          streamId,
          head.offset,
          birthOffset,
          deleted,
          claim.dueAt,
        ]),
        [
          ["/a life 1", 3, 1, true, 1],
          ["second", 4, 4, false, 2],
        ],
        "due",
      );
      const old = streams[0]?.head ?? writer.head;
      checkEqual(await directory.settle(old, "deletion", { dueAt: 3, kind: "again" }), true, "the old life's");
      checkEqual((await writer.log.load()).claim, { dueAt: 2, kind: "deletion" }, "the new life's");
      checkEqual(await directory.settle(old, "again", null), true, "the old life's, at last");
      checkEqual(
        (await directory.due({ now: 5, limit: 10 })).streams.map(({ streamId }) => streamId),
        ["second"],
        "due",
      );
    },
  },
  {
    name: "whoever settles too late never touches a later life",
    async run({ directory }) {
      const other = await born(directory, "/other");
      const writer = new StreamWriter(directory, "/a");
      for (let life = 1; life <= 5; life++) {
        await writer.append([record(life)], { claim: { dueAt: 1, kind: "birth" } });
        const { head } = writer;
        checkEqual(await directory.settle(head, "birth", null), true, "in time");
        await writer.remove();
        // A store may forget the old life by and by: give it the time.
        for (let i = 0; i < 20; i++) await other.append([record(i)]);
        await writer.append([record("next")], { claim: { dueAt: 1, kind: "birth" } });
        checkEqual(await directory.settle(head, "birth", null), false, "too late");
        checkEqual((await writer.log.load()).claim, { dueAt: 1, kind: "birth" }, "the later life's claim");
        await writer.remove({ dueAt: 2, kind: "deletion" });
        checkEqual(await directory.settle(writer.head, "deletion", null), true, "the later life's");
      }
    },
  },
  {
    name: "a long stream is gone at once, and its path can be used at once",
    async run({ directory }) {
      const writer = await born(directory, "/a", 1);
      for (let i = 0; i < 5; i++) {
        const keys = Array.from({ length: 700 }, (_, k) => ({
          key: `c:${i}/${k}`,
          offset: 2 + i * 700 + k,
          digest: "",
        }));
        await writer.append(records(700, 2 + i * 700), { keys });
      }
      await writer.remove();
      await writer.append([record("new")], { birth: { streamId: "second" } });
      checkEqual(await writer.all(), [record("new")], "records");
      checkEqual((await writer.log.findKeys(["c:0/0", "c:4/699"])).size, 0, "keys");
      for (let i = 0; i < 20; i++) await writer.append([record(i)]);
      checkEqual((await writer.all()).length, 21, "events of the new life");
      checkEqual(writer.head.offset, 3_522, "head");
    },
  },
];
