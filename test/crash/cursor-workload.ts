/**
 * A runtime that appends and moves its cursors while the server is killed, and a second one that wants them. What it
 * insists on: a cursor that was acknowledged is there with what was kept beside it, one that was not is there whole or
 * not at all and may be put again, and nobody but its holder ever moves it.
 */
import type { RemoteCursor, RemoteCursorInput } from "@millrace/protocol";
import { answerOf, append, breakerOff, getJson, textOf } from "../processes/http.ts";
import type { ServerProcess } from "../processes/server-process.ts";
import type { Round, Workload } from "./harness.ts";

const project = "cursors";
const headers = { "x-project-slug": project };

export interface CursorWorkload extends Workload {
  /** Moves that were acknowledged, and those of them only when they were put again. */
  counts(): { moves: number; repeated: number; refused: number };
}

export function createCursorWorkload(): CursorWorkload {
  const cursors = ["/kept/0", "/kept/1", "/kept/2"].map(createMovedCursor);
  const all = async (run: (cursor: MovedCursor) => Promise<void>) => {
    await Promise.all(cursors.map(run));
  };
  const sum = (count: "moves" | "repeated" | "refused") => cursors.reduce((total, cursor) => total + cursor[count], 0);
  return {
    name: "cursors",
    counts: () => ({ moves: sum("moves"), repeated: sum("repeated"), refused: sum("refused") }),
    prepare: (server) => all(({ path }) => append(server.url, path, breakerOff, headers).then(() => {})),
    act: (server, round, signal) => all((cursor) => moveUntilDead(cursor, server, round, signal)),
    recover: (server) => all((cursor) => makeGood(cursor, server)),
    verify: (server) => all((cursor) => makeGood(cursor, server)),
  };
}

interface MovedCursor {
  path: string;
  acknowledged: RemoteCursorInput | undefined;
  open: RemoteCursorInput | undefined;
  moves: number;
  repeated: number;
  refused: number;
}

function createMovedCursor(path: string): MovedCursor {
  return { path, acknowledged: undefined, open: undefined, moves: 0, repeated: 0, refused: 0 };
}

function put(server: ServerProcess, { path }: MovedCursor, input: RemoteCursorInput): Promise<Response> {
  return answerOf(`${server.url}/api/cursors/mover${path}`, { method: "PUT", headers, body: JSON.stringify(input) });
}

async function moveUntilDead(cursor: MovedCursor, server: ServerProcess, round: Round, signal: AbortSignal) {
  while (!signal.aborted) {
    try {
      const [event] = await append(server.url, cursor.path, { type: "done" }, headers);
      const offset = event?.offset as number;
      const replaces = cursor.acknowledged?.offset ?? null;
      const progress = { work: [offset], filler: "x".repeat(round.random.integer(5_000)) };
      cursor.open = { offset, epoch: "1", runtimeId: "holder", replaces, progress };
      await acknowledged(cursor, await put(server, cursor, cursor.open));
      round.underway();
      const { status } = await put(server, cursor, { offset, epoch: "1", runtimeId: "rival", replaces: offset });
      if (status !== 409) throw new Unexpected(`${cursor.path}: a rival was answered ${status}`);
      cursor.refused++;
    } catch (error) {
      if (error instanceof Unexpected) throw error;
      return; // killed before it answered
    }
  }
}

class Unexpected extends Error {}

async function acknowledged(cursor: MovedCursor, response: Response): Promise<void> {
  const text = await textOf(response);
  if (response.status !== 200) throw new Unexpected(`${cursor.path}: ${response.status} ${text}`);
  cursor.acknowledged = cursor.open;
  cursor.open = undefined;
  cursor.moves++;
}

/** What is there is what was acknowledged, or the one move of which nobody knows; and that may be put again. */
async function makeGood(cursor: MovedCursor, server: ServerProcess): Promise<void> {
  const { path, acknowledged: before, open } = cursor;
  if (before !== undefined) {
    const { cursor: stored } = (await getJson(server.url, `/api/cursors/mover${path}`, project)) as {
      cursor: RemoteCursor;
    };
    const { offset, progress, runtimeId } = stored;
    const is = (input: RemoteCursorInput | undefined) =>
      offset === input?.offset && JSON.stringify(progress) === JSON.stringify(input.progress);
    if (runtimeId !== "holder" || !(is(before) || is(open))) {
      throw new Error(`${path}: ${runtimeId} at ${offset}, where ${before.offset} was acknowledged`);
    }
  }
  if (open === undefined) return;
  await acknowledged(cursor, await put(server, cursor, open));
  cursor.repeated++;
}
