/** What a stream owes, and the pause that lists show. */
import { check, checkEqual } from "../check.ts";
import { born, type LogCase, record, StreamWriter, someTime } from "./log-case.ts";

export const claimCases: readonly LogCase[] = [
  {
    name: "paused shows in lists from the commit that changed it",
    async run({ directory }) {
      const shown = async () =>
        (await directory.list({ project: "public", prefix: "/", depth: "all", limit: 10 })).streams.map(
          ({ path, paused }) => [path, paused],
        );
      const writer = await born(directory, "/a");
      const bornPaused = new StreamWriter(directory, "/b");
      await bornPaused.append([record(1)], { paused: true });
      checkEqual(
        await shown(),
        [
          ["/a", false],
          ["/b", true],
        ],
        "at first",
      );
      await writer.append([record(2)], { paused: true });
      await bornPaused.append([record(2)]);
      checkEqual(
        await shown(),
        [
          ["/a", true],
          ["/b", true],
        ],
        "after a pause",
      );
      await writer.append([record(3)], { paused: false });
      checkEqual(
        await shown(),
        [
          ["/a", false],
          ["/b", true],
        ],
        "after a resume",
      );
    },
  },
  {
    name: "a claim is loaded, due, replaced and cleared with the commits that say so",
    async run({ directory }) {
      const writer = new StreamWriter(directory, "/a", "p");
      await writer.append([record(1)], { claim: { dueAt: someTime, kind: "birth" }, birth: { streamId: "id" } });
      checkEqual((await writer.log.load()).claim, { dueAt: someTime, kind: "birth" }, "claim at birth");
      await writer.append([record(2)]);
      const { streams } = await directory.due({ now: someTime, limit: 10 });
      checkEqual(
        streams.map(({ head, ...due }) => ({ ...due, head: head.offset })),
        [
          {
            project: "p",
            path: "/a",
            streamId: "id",
            birthOffset: 1,
            head: 2,
            deleted: false,
            claim: { dueAt: someTime, kind: "birth" },
          },
        ],
        "due",
      );
      await writer.append([record(3)], { claim: { dueAt: someTime + 9, kind: "tick" } });
      checkEqual(await directory.due({ now: someTime, limit: 10 }), { streams: [], nextDueAt: someTime + 9 }, "later");
      await writer.append([record(4)], { claim: null });
      checkEqual(await directory.due({ now: 1e15, limit: 10 }), { streams: [], nextDueAt: null }, "cleared");
      checkEqual((await writer.log.load()).claim, null, "claim after all");
    },
  },
  {
    name: "due streams come earliest first, as many as asked for, of every project",
    async run({ directory }) {
      for (const [path, dueAt, project] of [
        ["/c", 30, "p"],
        ["/a", 10, "p"],
        ["/d", 40, "p"],
        ["/b", 20, "q"],
      ] as const) {
        await new StreamWriter(directory, path, project).append([record(1)], { claim: { dueAt, kind: "x" } });
      }
      const due = async (now: number, limit: number) => {
        const found = await directory.due({ now, limit });
        return [found.streams.map(({ project, path }) => project + path), found.nextDueAt];
      };
      checkEqual(await due(9, 10), [[], 10], "before all");
      checkEqual(await due(30, 10), [["p/a", "q/b", "p/c"], 40], "in between");
      checkEqual(await due(30, 2), [["p/a", "q/b"], 40], "limited");
      checkEqual(await due(100, 10), [["p/a", "q/b", "p/c", "p/d"], null], "after all");
    },
  },
  {
    name: "a claim is settled by whoever names its kind, once",
    async run({ directory }) {
      const writer = new StreamWriter(directory, "/a");
      await writer.append([record(1)], { claim: { dueAt: someTime, kind: "birth" } });
      const head = (await directory.due({ now: someTime, limit: 1 })).streams[0]?.head ?? writer.head;
      checkEqual(await directory.settle(head, "tick", null), false, "another kind");
      checkEqual((await writer.log.load()).claim?.kind, "birth", "the claim is as it was");
      await writer.append([record(2)]);
      checkEqual(await directory.settle(head, "birth", { dueAt: someTime + 1, kind: "tick" }), true, "an older head");
      checkEqual(await directory.settle(head, "birth", null), false, "a second time");
      checkEqual((await writer.log.load()).claim, { dueAt: someTime + 1, kind: "tick" }, "replaced");
      checkEqual(await directory.settle(writer.head, "tick", null), true, "by the latest head");
      checkEqual((await writer.log.load()).claim, null, "cleared");
      await writer.append([record(3)]);
      checkEqual(writer.head.offset, 3, "settling does not move the head");
    },
  },
  {
    name: "what a claim says is kept to the letter: nobody looks into it",
    async run({ directory }) {
      const writer = new StreamWriter(directory, "/a");
      const cause = { streamPath: `/${"long/".repeat(200)}grün`, offset: 7 };
      const kind = `birth ${JSON.stringify({ depth: 3, createdBy: cause })}`;
      await writer.append([record(1)], { claim: { dueAt: someTime, kind } });
      checkEqual((await writer.log.load()).claim, { dueAt: someTime, kind }, "as it was said");
      const [due] = (await directory.due({ now: someTime, limit: 1 })).streams;
      checkEqual(due?.claim.kind, kind, "as it is due");
      checkEqual(await directory.settle(writer.head, "birth", null), false, "only the beginning of it");
      checkEqual(await directory.settle(writer.head, kind, null), true, "all of it");
    },
  },
  {
    name: "of many that settle at once exactly one does",
    async run({ directory }) {
      const writer = new StreamWriter(directory, "/a");
      await writer.append([record(1)], { claim: { dueAt: someTime, kind: "birth" } });
      const outcomes = await Promise.all(
        Array.from({ length: 10 }, () => directory.settle(writer.head, "birth", { dueAt: 1, kind: "done" })),
      );
      checkEqual(outcomes.filter((settled) => settled).length, 1, "who did");
      check((await writer.log.load()).claim?.kind === "done", "the claim is replaced");
    },
  },
];
