/** What is kept of consumers: rows of progress, and their folded states. */
import { checkEqual, checkRejects } from "../check.ts";
import { born, type LogCase, record, records, StreamWriter, someTime } from "./log-case.ts";

const row = (consumer: string, text: string | null) => ({ consumer, text });
const progressOf = async ({ log }: StreamWriter) => (await log.load()).progress;

export const progressCases: readonly LogCase[] = [
  {
    name: "progress is saved with records and without, replaced, and taken away with null",
    async run({ directory }) {
      const writer = new StreamWriter(directory, "/a");
      await writer.append(records(2), { progress: [row("processor/a", "one")] });
      checkEqual(await progressOf(writer), [row("processor/a", "one")], "at birth");
      await writer.append([record(3)], { progress: [row("processor/b 🦦", "{}")] });
      checkEqual(await progressOf(writer), [row("processor/a", "one"), row("processor/b 🦦", "{}")], "a second one");
      await writer.append([], { progress: [row("processor/a", "two"), row("processor/b 🦦", null)] });
      checkEqual(await progressOf(writer), [row("processor/a", "two")], "without records");
      await writer.append([record(4)]);
      checkEqual(await progressOf(writer), [row("processor/a", "two")], "after an append without progress");
      await writer.append([], { progress: [row("processor/a", null), row("processor/nobody", null)] });
      checkEqual(await progressOf(writer), [], "taken away");
      checkEqual(await writer.all(), records(4), "records");
    },
  },
  {
    name: "a commit without records moves no head, no time and no position, and nobody who reads sees it",
    async run({ directory }) {
      const writer = await born(directory, "/a", 2);
      const before = await directory.lastPosition();
      await writer.append([], { progress: [row("p", "1")], at: someTime + 5_000 });
      const { head, lastEventAt } = await writer.log.load();
      checkEqual([head.offset, lastEventAt], [2, someTime], "head and time");
      checkEqual(await directory.lastPosition(), before, "position");
      const query = { project: "public", prefix: "/", after: before, maxEvents: 10, maxBytes: 1e6 };
      checkEqual((await directory.readPositions(query)).commits, [], "what became visible");
      const { position } = await writer.append([record(3)]);
      checkEqual((await directory.readPositions(query)).commits.length, 1, `commits behind, at ${position}`);
      checkEqual(await writer.all(), records(3), "records");
    },
  },
  {
    name: "of two who save progress from one head the second is refused, whatever it appends",
    async run({ directory }) {
      const first = await born(directory, "/a", 1);
      await first.append([], { progress: [row("p", "0")] });
      const second = new StreamWriter(directory, "/a");
      await second.load();
      await first.append([], { progress: [row("p", "first")] });
      const late = second.commit([], { progress: [row("p", "second")] });
      await checkRejects(second.log.append(late, second.head), "HeadConflict", "progress alone");
      const both = second.commit([record(2)], { progress: [row("p", "second")] });
      await checkRejects(second.log.append(both, second.head), "HeadConflict", "progress with records");
      checkEqual(await progressOf(first), [row("p", "first")], "progress");
      const plain = second.commit([record(2)]);
      await checkRejects(second.log.append(plain, second.head), "HeadConflict", "records alone");
      checkEqual(await first.all(), records(1), "nothing of what was refused");
      await second.load();
      await second.append([record(2)]);
      checkEqual(await first.all(), records(2), "a plain append");
      await second.append([], { progress: [row("p", "second")] });
      checkEqual(await progressOf(first), [row("p", "second")], "after it was loaded again");
    },
  },
  {
    name: "a head that a plain append gave back still knows how new its progress is",
    async run({ directory }) {
      const writer = new StreamWriter(directory, "/a");
      await writer.append([record(1)], { progress: [row("p", "1")] });
      await writer.append([record(2)]);
      await writer.append([record(3)], { keys: [{ key: "c:k", offset: 3, digest: "" }] });
      await writer.append([], { progress: [row("p", "2")] });
      await writer.append([], { progress: [row("p", "3")] });
      checkEqual(await progressOf(writer), [row("p", "3")], "progress");
    },
  },
  {
    name: "progress, folded states and wakes end with their stream",
    async run({ directory }) {
      const writer = new StreamWriter(directory, "/a");
      const snapshots = [{ consumer: "p", offset: 1, state: "{}" }];
      await writer.append([record(1)], { progress: [row("p", "1")], snapshots, wakeAt: 50 });
      await writer.remove();
      const gone = await writer.log.load();
      checkEqual([gone.progress, gone.wakeAt], [[], null], "after the deletion");
      checkEqual(await writer.log.consumerSnapshot("p"), undefined, "folded state");
      await writer.append([record(2)]);
      const reborn = await writer.log.load();
      checkEqual([reborn.progress, reborn.wakeAt], [[], null], "in the next life");
      checkEqual(await writer.log.consumerSnapshot("p"), undefined, "folded state in the next life");
      await writer.append([], { progress: [row("p", "new")] });
      checkEqual(await progressOf(writer), [row("p", "new")], "progress of the next life");
    },
  },
  {
    name: "the folded state of a consumer is the one saved last, and goes with its progress",
    async run({ directory }) {
      const writer = await born(directory, "/a", 3);
      const other = await born(directory, "/b", 1);
      checkEqual(await writer.log.consumerSnapshot("p"), undefined, "before any");
      const snapshot = (consumer: string, offset: number, state: string) => ({ consumer, offset, state });
      const rows = [row("p", "1"), row("q", "1")];
      await writer.append([], { progress: rows, snapshots: [snapshot("p", 2, '"🦦"'), snapshot("q", 3, "7")] });
      await writer.append([], { progress: [row("p", "2")], snapshots: [snapshot("p", 3, "x".repeat(100_000))] });
      checkEqual(await writer.log.consumerSnapshot("p"), { offset: 3, state: "x".repeat(100_000) }, "of p");
      checkEqual(await writer.log.consumerSnapshot("q"), { offset: 3, state: "7" }, "of q");
      checkEqual(await other.log.load().then(() => other.log.consumerSnapshot("p")), undefined, "of another stream");
      await writer.append([], { progress: [row("p", null)] });
      checkEqual(await writer.log.consumerSnapshot("p"), undefined, "taken away");
      checkEqual(await writer.log.consumerSnapshot("q"), { offset: 3, state: "7" }, "of q after that");
    },
  },
];
