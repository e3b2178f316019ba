/** Positions: whoever has seen p never finds anything new at or below p. */
import type { Directory, PositionedRecords } from "@millrace/engine";
import { check, checkEqual } from "../check.ts";
import { born, type LogCase, record, records, StreamWriter } from "./log-case.ts";

const wide = { maxEvents: 1e9, maxBytes: 1e9 };

export const positionCases: readonly LogCase[] = [
  {
    name: "positions rise with every commit, and a subtree is read by them",
    async run({ directory }) {
      const order = ["/a", "/a/b", "/c", "/a", "/a-b", "/a/b", "/"];
      const writers = new Map([...new Set(order)].map((path) => [path, new StreamWriter(directory, path)]));
      const seen: number[] = [];
      for (const [i, path] of order.entries()) seen.push((await writers.get(path)?.append([record(i)]))?.position ?? 0);
      checkEqual(
        [...seen].sort((a, b) => a - b),
        seen,
        "positions",
      );
      checkEqual(new Set(seen).size, order.length, "different positions");
      for (const [prefix, expected] of [
        ["/", [0, 1, 2, 3, 4, 5, 6]],
        ["/a", [0, 1, 3, 5]],
        ["/a/b", [1, 5]],
        ["/b", []],
      ] as const) {
        const { commits, through } = await directory.readPositions({ project: "public", prefix, after: 0, ...wide });
        checkEqual(
          commits.map(({ position, path, records: texts }) => [position, path, ...texts]),
          expected.map((i) => [seen[i], order[i], record(i)]),
          `below ${prefix}`,
        );
        check(through >= (seen.at(-1) ?? 0), `through of ${prefix} is ${through}`);
      }
      const later = await directory.readPositions({
        project: "public",
        prefix: "/",
        after: seen[4] as number,
        ...wide,
      });
      checkEqual(
        later.commits.map(({ position }) => position),
        seen.slice(5),
        "after a position",
      );
      const other = await directory.readPositions({ project: "other", prefix: "/", after: 0, ...wide });
      checkEqual(other.commits, [], "of another project");
      const end = await directory.readPositions({ project: "public", prefix: "/", after: later.through, ...wide });
      checkEqual(end, { commits: [], through: later.through }, "after the end");
    },
  },
  {
    name: "an event's position, and where another stream stood at it",
    async run({ directory }) {
      const upper = await born(directory, "/up", 2);
      const lower = await born(directory, "/up/low", 3);
      const wideText = "x".repeat(40_000);
      await lower.append([record(wideText), record(wideText), record(wideText)]);
      const { position } = await upper.append(records(2, 3));
      checkEqual(await upper.log.positionOf(3), position, "of the first event of a commit");
      checkEqual(await upper.log.positionOf(4), position, "of the last one");
      checkEqual(await upper.log.positionOf(5), undefined, "of none");
      await lower.append([record("later")]);
      checkEqual(await lower.log.headAt(position), 6, "before the position");
      const last = await directory.lastPosition();
      checkEqual(await lower.log.headAt(last), 7, "at the last");
      checkEqual(await lower.log.headAt(0), 0, "before everything");
      checkEqual(await upper.log.headAt((await upper.log.positionOf(2)) as number), 2, "at its own");
      await lower.remove();
      checkEqual(await lower.log.headAt(last), 0, "of a life that is over");
      checkEqual(await lower.log.positionOf(7), undefined, "of an event that is gone");
      const next = await lower.append([record("again")]);
      checkEqual(await lower.log.headAt(last), 0, "before the next life");
      checkEqual(await lower.log.headAt(next.position), 8, "in the next life");
      checkEqual([await lower.log.positionOf(8), await lower.log.positionOf(7)], [next.position, undefined], "of it");
    },
  },
  {
    name: "the last position is that of the newest commit, whatever became of it",
    async run({ directory }) {
      checkEqual(await directory.lastPosition(), 0, "of an empty store");
      const steady = await born(directory, "/steady", 1, "other");
      for (let round = 0; round < 5; round++) {
        const writer = await born(directory, `/a${round}`, 2);
        const { position } = await writer.append(records(round + 1, 3));
        checkEqual(await directory.lastPosition(), position, "after a commit");
        await writer.remove();
        check((await directory.lastPosition()) >= position, "after its removal");
        const next = await steady.append([record(round)]);
        checkEqual(await directory.lastPosition(), next.position, "after a commit in another project");
      }
    },
  },
  {
    name: "a page by position holds its bounds and always goes on",
    async run({ directory }) {
      for (let i = 0; i < 10; i++) {
        await born(directory, `/s${i}`, 10);
        await born(directory, "/elsewhere", 3, `other${i}`);
      }
      const large = await born(directory, "/large", 1);
      await large.append([record("x".repeat(200_000)), record("y".repeat(200_000)), record(3)]);
      for (const bounds of [
        { maxEvents: 1, maxBytes: 1e9 },
        { maxEvents: 25, maxBytes: 1e9 },
        { maxEvents: 1e9, maxBytes: 1 },
        { maxEvents: 1e9, maxBytes: 2_000 },
      ]) {
        const found: PositionedRecords[] = [];
        for (let after = 0; ; ) {
          const { commits, through } = await directory.readPositions({
            project: "public",
            prefix: "/",
            after,
            ...bounds,
          });
          const events = commits.reduce((sum, commit) => sum + commit.records.length, 0);
          check(commits.length <= 1 || events <= bounds.maxEvents, `${events} events where ${bounds.maxEvents} may be`);
          found.push(...commits);
          if (through === after) break;
          check(through > after, `through went back from ${after} to ${through}`);
          after = through;
        }
        const texts = eventsByPath(found);
        for (let i = 0; i < 10; i++)
          checkEqual(texts.get(`/s${i}`), records(10), `/s${i} in pages of ${bounds.maxEvents}`);
        checkEqual(texts.get("/large")?.length, 4, "/large");
        checkEqual(texts.size, 11, "streams");
      }
    },
  },
  {
    name: "a deleted stream is passed over, and its positions are never given again",
    async run({ directory }) {
      const steady = await born(directory, "/steady");
      const writer = await born(directory, "/a", 5);
      const { position } = await writer.append([record(6)]);
      await writer.remove();
      for (let i = 0; i < 20; i++) {
        const committed = await steady.append([record(i)]);
        check(committed.position > position, `position ${committed.position} after ${position}`);
      }
      const { commits } = await directory.readPositions({ project: "public", prefix: "/a", after: 0, ...wide });
      checkEqual(commits, [], "of the deleted stream");
      const next = await writer.append([record("new")]);
      const { commits: found } = await directory.readPositions({ project: "public", prefix: "/a", after: 0, ...wide });
      checkEqual(
        found,
        [{ position: next.position, path: "/a", first: 7, records: [record("new")] }],
        "of the next life",
      );
    },
  },
  {
    name: "whoever reads along 50 parallel writers finds each commit once, in order, and never behind itself",
    async run({ directory }) {
      const writers = Array.from({ length: 50 }, (_, n) => new StreamWriter(directory, `/parallel/${n % 5}/${n}`));
      const commitsEach = 20;
      const given = new Map<string, number[]>();
      let writing = true;
      const write = async (writer: StreamWriter, n: number) => {
        const positions: number[] = [];
        given.set(writer.path, positions);
        for (let i = 0; i < commitsEach; i++) {
          const { position } = await writer.append(records(1 + ((n + i) % 3), writer.head.offset + 1));
          positions.push(position);
        }
      };
      const all = Promise.all(writers.map(write)).finally(() => {
        writing = false;
      });
      const [everything, subtree] = await Promise.all([
        follow(directory, "/", () => writing),
        follow(directory, "/parallel/3", () => writing),
        all,
      ]);
      const everyPath = eventsByPath(everything);
      const subtreePaths = eventsByPath(subtree);
      for (const writer of writers) {
        checkEqual(everyPath.get(writer.path), records(writer.head.offset), writer.path);
        const below = writer.path.startsWith("/parallel/3/") ? records(writer.head.offset) : undefined;
        checkEqual(subtreePaths.get(writer.path), below, `${writer.path} in the subtree`);
        const seen = everything.filter(({ path }) => path === writer.path).map(({ position }) => position);
        for (const position of given.get(writer.path) ?? []) {
          check(seen.includes(position), `${writer.path}: position ${position} was given and never seen`);
        }
      }
    },
  },
  {
    name: "whoever waits for a project to begin misses nothing of it",
    async run({ directory }) {
      for (let n = 0; n < 150; n++) {
        const project = `project-${n}`;
        let writing = true;
        const writer = new StreamWriter(directory, "/a", project);
        const writes = writer.append([record(n)]).finally(() => {
          writing = false;
        });
        const [seen] = await Promise.all([follow(directory, "/", () => writing, project), writes]);
        checkEqual(
          seen.map(({ records: texts }) => texts),
          [[record(n)]],
          project,
        );
      }
    },
  },
];

/** Reads by position until nobody writes any more and the end is reached. Fails when anything appears behind it. */
async function follow(
  directory: Directory,
  prefix: string,
  writing: () => boolean,
  project = "public",
): Promise<PositionedRecords[]> {
  const found: PositionedRecords[] = [];
  for (let after = 0; ; ) {
    const last = !writing();
    const page = await directory.readPositions({ project, prefix, after, maxEvents: 50, maxBytes: 1e9 });
    let previous = after;
    for (const commit of page.commits) {
      check(commit.position > previous, `position ${commit.position} came behind ${previous}`);
      previous = commit.position;
    }
    check(page.through >= previous, `through ${page.through} lies behind ${previous}`);
    found.push(...page.commits);
    if (last && page.through === after) return found;
    after = page.through;
  }
}

/** The events of each stream in the order in which they were found; fails when one is missing or comes twice. */
function eventsByPath(commits: PositionedRecords[]): Map<string, string[]> {
  const events = new Map<string, string[]>();
  for (const { path, first, records: texts } of commits) {
    const before = events.get(path) ?? [];
    checkEqual(first, before.length + 1, `first offset of a commit of ${path}`);
    events.set(path, [...before, ...texts]);
  }
  return events;
}
