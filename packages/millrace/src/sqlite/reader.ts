/**
 * The thread that reads, on a connection of its own: it sees what is committed, and never makes the writer or the
 * server's own thread wait. Every query is bounded in rows and bytes, and sees one state of the database: between two
 * of its statements nothing is born, removed or purged.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { StreamSummary } from "@millrace/engine";
import { openConnection, sqliteCode } from "./connection.ts";
import type {
  Answers,
  ConsumerSnapshotQuery,
  DueQuery,
  DueRow,
  HeadAtQuery,
  KeysQuery,
  ListQuery,
  LoadQuery,
  PositionOfQuery,
  PositionsQuery,
  ProjectsQuery,
  Query,
  ReaderAnswer,
  ReadQuery,
  WakesQuery,
} from "./messages.ts";

const { file } = workerData as { file: string };
const db = openConnection(file, true);

const begin = db.prepare("BEGIN");
const commit = db.prepare("COMMIT");
const selectProject = db.prepare("SELECT id FROM projects WHERE slug = ?").pluck();
const selectProjects = db.prepare("SELECT slug FROM projects WHERE slug > ? ORDER BY slug LIMIT ?").pluck();
const selectLife = db.prepare(
  "SELECT id, stream_id AS streamId, birth_offset AS birthOffset, birth_at AS birthAt, due_at AS dueAt, due_kind AS dueKind, deleted_head AS deletedHead, deleted_last_at AS deletedLastAt, wake_at AS wakeAt, revision FROM streams WHERE project = ? AND path = ? AND superseded = 0",
);
const selectEnd = db.prepare("SELECT last AS head, at FROM records WHERE stream = ? ORDER BY last DESC LIMIT 1");
const selectSnapshot = db.prepare("SELECT offset, state FROM snapshots WHERE stream = ?");
const selectProgress = db.prepare("SELECT consumer, text FROM progress WHERE stream = ? ORDER BY consumer");
const selectConsumerSnapshot = db.prepare(
  "SELECT offset, state FROM consumer_snapshots WHERE stream = ? AND consumer = ?",
);
const selectWakes = db.prepare(
  "SELECT p.slug AS project, s.path, s.wake_at AS wakeAt FROM streams s JOIN projects p ON p.id = s.project WHERE s.wake_at > ? AND s.wake_at <= ? ORDER BY s.wake_at LIMIT ?",
);
const selectLimitWake = db
  .prepare("SELECT wake_at FROM streams WHERE wake_at > ? AND wake_at <= ? ORDER BY wake_at LIMIT 1 OFFSET ?")
  .pluck();
const selectNextWake = db.prepare("SELECT min(wake_at) FROM streams WHERE wake_at > ?").pluck();
const selectRuns = db
  .prepare(
    "SELECT last, count, body, code, code_at FROM records WHERE stream = ? AND last > ? AND last - count < ? ORDER BY last",
  )
  .raw();
const selectPositionOf = db
  .prepare("SELECT position, last - count FROM records WHERE stream = ? AND last >= ? ORDER BY last LIMIT 1")
  .raw();
const selectHeadAt = db
  .prepare("SELECT last FROM records WHERE stream = ? AND position <= ? ORDER BY last DESC LIMIT 1")
  .pluck();
const selectKey = db.prepare("SELECT key, offset, digest FROM keys WHERE stream = ? AND key = ?");
const selectDue = db.prepare(
  "SELECT s.id AS row, p.slug AS project, s.path, s.stream_id AS streamId, s.birth_offset AS birthOffset, s.due_at AS dueAt, s.due_kind AS dueKind, s.deleted_head AS deletedHead FROM streams s JOIN projects p ON p.id = s.project WHERE s.due_at <= ? ORDER BY s.due_at, s.id LIMIT ?",
);
const selectNextDue = db.prepare("SELECT min(due_at) FROM streams WHERE due_at > ?").pluck();
const listColumns = "id, path, birth_at AS createdAt, paused";
const selectExact = db.prepare(
  `SELECT ${listColumns} FROM streams WHERE project = ? AND path = ? AND superseded = 0 AND deleted_head IS NULL`,
);
const selectBetween = db.prepare(
  `SELECT ${listColumns} FROM streams WHERE project = ? AND path > ? AND path < ? AND superseded = 0 AND deleted_head IS NULL ORDER BY path LIMIT ?`,
);
const selectPositions = db
  .prepare("SELECT position, stream, last, count FROM records WHERE position > ? ORDER BY position LIMIT ?")
  .raw();
const selectBody = db.prepare("SELECT body, code, code_at FROM records WHERE position = ?").raw();
const selectCode = db.prepare("SELECT text FROM codes WHERE id = ?").pluck();
const selectPath = db.prepare("SELECT path, project FROM streams WHERE id = ? AND deleted_head IS NULL").raw();

const selectLastPosition = db.prepare("SELECT max(position) FROM records").pluck();
const selectPositionFloor = db.prepare("SELECT value FROM counters WHERE name = 'position'").pluck();

const scannedRowsMax = 5_000;

interface LifeRow {
  id: number;
  streamId: string;
  birthOffset: number;
  birthAt: number;
  dueAt: number | null;
  dueKind: string | null;
  deletedHead: number | null;
  deletedLastAt: number | null;
  wakeAt: number | null;
  revision: number;
}

interface ListRow {
  id: number;
  path: string;
  createdAt: number;
  paused: number;
}

parentPort?.on("message", (queries: { id: number; query: Query }[]) => {
  // Small answers travel together; a page of history goes at once, so that many pages never pile up here.
  let answers: ReaderAnswer[] = [];
  for (const { id, query } of queries) {
    answers.push(answer(id, query));
    if (query.kind === "read" || query.kind === "positions") {
      parentPort?.postMessage(answers);
      answers = [];
    }
  }
  endTransaction();
  if (answers.length > 0) parentPort?.postMessage(answers);
});

function endTransaction(): void {
  try {
    if (db.inTransaction) commit.run();
  } catch (error) {
    // SQLite says once more that a page could not be read, and ends the transaction all the same.
    if (db.inTransaction) throw error;
  }
}

function answer(id: number, query: Query): ReaderAnswer {
  try {
    // One transaction for all queries of a message. SQLite may end it by itself when a page could not be read.
    if (!db.inTransaction) begin.run();
    return { id, value: run(query) };
  } catch (error) {
    return { id, error: { code: sqliteCode(error), message: (error as Error).message } };
  }
}

function run(query: Query): Answers[keyof Answers] {
  switch (query.kind) {
    case "load":
      return load(query);
    case "read":
      return read(query);
    case "keys":
      return keys(query);
    case "list":
      return list(query);
    case "projects":
      return projects(query);
    case "due":
      return due(query);
    case "wakes":
      return wakes(query);
    case "consumerSnapshot":
      return consumerSnapshot(query);
    case "positionOf":
      return positionOf(query);
    case "headAt":
      return headAt(query);
    case "positions":
      return positions(query);
    case "lastPosition":
      return lastPosition();
  }
}

function load({ project, path }: LoadQuery): Answers["load"] {
  const projectId = selectProject.get(project);
  const life = projectId === undefined ? undefined : (selectLife.get(projectId, path) as LifeRow | undefined);
  const nothing = { claim: null, wakeAt: null, revision: 0, progress: [] };
  if (life === undefined) return { row: 0, head: 0, lastEventAt: 0, ...nothing };
  const { id: row, deletedHead } = life;
  if (deletedHead !== null) return { row, head: deletedHead, lastEventAt: life.deletedLastAt ?? 0, ...nothing };
  const end = selectEnd.get(row) as { head: number; at: number };
  const snapshot = selectSnapshot.get(row) as { offset: number; state: string } | undefined;
  return {
    row,
    head: end.head,
    lastEventAt: end.at,
    birth: { streamId: life.streamId, offset: life.birthOffset, at: life.birthAt },
    claim: life.dueAt === null ? null : { dueAt: life.dueAt, kind: life.dueKind as string },
    wakeAt: life.wakeAt,
    revision: life.revision,
    // Every save of progress is counted, so most streams are known to have none.
    progress: life.revision === 0 ? [] : (selectProgress.all(row) as Answers["load"]["progress"]),
    ...(snapshot === undefined ? {} : { snapshot }),
  };
}

function read({ row, after, through, maxEvents, maxBytes }: ReadQuery): Answers["read"] {
  const bodies: string[] = [];
  let first = after + 1;
  let reached = after;
  let bytes = 0;
  type Row = [last: number, count: number, ...Stored];
  for (const [last, count, ...stored] of selectRuns.iterate(row, after, through) as Iterable<Row>) {
    const body = whole(stored);
    bytes += body.length;
    if (bodies.length > 0 && bytes > maxBytes) break;
    if (bodies.length === 0) first = last - count + 1;
    bodies.push(body);
    reached = last;
    // The statement itself would look through the rest of the stream for more.
    if (reached >= through || reached - after >= maxEvents) break;
  }
  return { first, bodies };
}

type Stored = [body: string, code: number | null, codeAt: number | null];

/** With the code that was taken out of it. */
function whole([body, code, at]: Stored): string {
  if (code === null || at === null) return body;
  return body.slice(0, at) + (selectCode.get(code) as string) + body.slice(at);
}

function keys({ row, keys: wanted }: KeysQuery): Answers["keys"] {
  const found: Answers["keys"] = [];
  for (const key of wanted) {
    const entry = selectKey.get(row, key) as Answers["keys"][number] | undefined;
    if (entry !== undefined) found.push(entry);
  }
  return found;
}

function list(query: ListQuery): Answers["list"] {
  const projectId = selectProject.get(query.project) as number | undefined;
  if (projectId === undefined) return { streams: [], next: null };
  const rows = query.depth === "all" ? below(projectId, query) : children(projectId, query);
  const streams = rows.slice(0, query.limit).map(summary);
  return { streams, next: rows.length > query.limit ? (streams.at(-1)?.path ?? null) : null };
}

/** The prefix itself and everything below it, one more than asked for. */
function below(projectId: number, { prefix, cursor, limit }: ListQuery): ListRow[] {
  const rows: ListRow[] = [];
  if (cursor === undefined) {
    const exact = selectExact.get(projectId, prefix) as ListRow | undefined;
    if (exact !== undefined) rows.push(exact);
  }
  const [from, to] = rangeBelow(prefix);
  const after = cursor !== undefined && cursor > from ? cursor : from;
  rows.push(...(selectBetween.all(projectId, after, to, limit + 1 - rows.length) as ListRow[]));
  return rows;
}

/** What lies one segment below the prefix; a whole subtree of a child is stepped over with one look-up. */
function children(projectId: number, { prefix, cursor, limit }: ListQuery): ListRow[] {
  const rows: ListRow[] = [];
  const [from, to] = rangeBelow(prefix);
  let after = cursor !== undefined && cursor > from ? cursor : from;
  while (rows.length <= limit) {
    const row = selectBetween.get(projectId, after, to, 1) as ListRow | undefined;
    if (row === undefined) break;
    const slash = row.path.indexOf("/", from.length);
    if (slash === -1) {
      rows.push(row);
      after = row.path;
    } else {
      after = rangeBelow(row.path.slice(0, slash))[1];
      // The end of a subtree is no path ("0" follows "/"), but a stream may be called just that.
      const exact = selectExact.get(projectId, after) as ListRow | undefined;
      if (exact !== undefined && !after.includes("/", from.length)) rows.push(exact);
    }
  }
  return rows;
}

/** Every path below a prefix sorts between the two, exclusive: "0" is the character behind "/". */
function rangeBelow(prefix: string): [from: string, to: string] {
  const base = prefix === "/" ? "" : prefix;
  return [`${base}/`, `${base}0`];
}

function summary({ id, path, createdAt, paused }: ListRow): StreamSummary {
  const end = selectEnd.get(id) as { head: number; at: number };
  return { path, head: end.head, createdAt, lastEventAt: end.at, paused: paused === 1 };
}

function projects({ cursor, limit }: ProjectsQuery): Answers["projects"] {
  const slugs = selectProjects.all(cursor ?? "", limit + 1) as string[];
  const page = slugs.slice(0, limit);
  return { projects: page, next: slugs.length > limit ? (page.at(-1) ?? null) : null };
}

function due({ now, limit }: DueQuery): Answers["due"] {
  type Row = Omit<DueRow, "head" | "deleted" | "claim"> & {
    dueAt: number;
    dueKind: string;
    deletedHead: number | null;
  };
  const streams = (selectDue.all(now, limit) as Row[]).map(({ dueAt, dueKind, deletedHead, ...row }) => ({
    ...row,
    head: deletedHead ?? (selectEnd.get(row.row) as { head: number }).head,
    deleted: deletedHead !== null,
    claim: { dueAt, kind: dueKind },
  }));
  return { streams, nextDueAt: selectNextDue.get(now) as number | null };
}

/** Whole moments: what has the time of the last one belongs to the answer as well, however many there are. */
function wakes({ after, through, limit }: WakesQuery): Answers["wakes"] {
  const reached = (selectLimitWake.get(after, through, limit - 1) as number | undefined) ?? through;
  const found = selectWakes.all(after, reached, -1) as Answers["wakes"]["wakes"];
  return { wakes: found, through: reached, next: selectNextWake.get(reached) as number | null };
}

function consumerSnapshot({ row, consumer }: ConsumerSnapshotQuery): Answers["consumerSnapshot"] {
  return selectConsumerSnapshot.get(row, consumer) as Answers["consumerSnapshot"];
}

function positionOf({ row, offset }: PositionOfQuery): Answers["positionOf"] {
  const found = selectPositionOf.get(row, offset) as [position: number, before: number] | undefined;
  return found === undefined || found[1] >= offset ? undefined : found[0];
}

/** From the end backwards, in the index alone: mostly it is found at once. */
function headAt({ row, position }: HeadAtQuery): Answers["headAt"] {
  return (selectHeadAt.get(row, position) as number | undefined) ?? 0;
}

function positions(query: PositionsQuery): Answers["positions"] {
  const projectId = selectProject.get(query.project) as number | undefined;
  const commits: Answers["positions"]["commits"] = [];
  let through = query.after;
  let events = 0;
  let bytes = 0;
  type Row = [position: number, stream: number, last: number, count: number];
  for (const [position, stream, last, count] of selectPositions.iterate(query.after, scannedRowsMax) as Iterable<Row>) {
    const path = pathBelow(stream, projectId, query.prefix);
    if (path !== undefined) {
      const body = whole(selectBody.get(position) as Stored);
      events += count;
      bytes += body.length;
      if (commits.length > 0 && (events > query.maxEvents || bytes > query.maxBytes)) break;
      commits.push({ position, path, first: last - count + 1, body });
    }
    through = position;
  }
  return { commits, through };
}

function lastPosition(): number {
  return Math.max(
    (selectLastPosition.get() as number | null) ?? 0,
    (selectPositionFloor.get() as number | undefined) ?? 0,
  );
}

function pathBelow(stream: number, projectId: number | undefined, prefix: string): string | undefined {
  const [path, project] = (selectPath.get(stream) as [string, number] | undefined) ?? [];
  if (path === undefined || project !== projectId) return undefined;
  const [from, to] = rangeBelow(prefix);
  return path === prefix || (path >= from && path < to) ? path : undefined;
}
