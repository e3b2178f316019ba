/**
 * Cursors that the server keeps, one for each slug and stream, held by one runtime at a time. A run that ends gives
 * them back, so that the next one goes on at once; what a killed one held may be taken when it was silent for 30 s. A
 * second one with the same slug is told who is at work, and one that lost a cursor ends.
 */
import type { RemoteCursor } from "@millrace/protocol";
import type { EventsClient } from "../client.ts";
import { isMillraceError } from "../errors.ts";
import { pause } from "../retry.ts";
import type { Cursors, StoredCursor } from "./cursors.ts";
import { createFollowedMarks } from "./followed-marks.ts";
import { hostRandom } from "./host.ts";
import { createTurns } from "./turns.ts";

export interface ServerCursorsOptions {
  client: EventsClient;
  slug: string;
  /** Who this is, in what others are told: one running process. Made up without it. */
  runtimeId?: string;
  /**
   * Whether a start waits, up to half a minute, for a holder that says nothing any more: mostly one that was killed. One
   * that is heard meanwhile is at work, and the start is refused. True without it.
   */
  waits?: boolean;
}

/** States may be large: they are folded again. */
type KeptProgress = Omit<StoredCursor, "snapshot">;

/** What the server has of a path, as far as it is known here. */
interface Held {
  /** Null where it has nothing. */
  offset: number | null;
  progress?: KeptProgress;
  /** Of one path nothing is said before what was said last is answered. */
  turn: Promise<unknown>;
  /** Why it is no longer this runtime's. */
  lost?: unknown;
}

/** The server forgets a holder after 30 s. */
const signOfLifeMs = 10_000;
const askAgainMs = 1_000;
/** An end does not wait longer for a server that is away: others then wait until this runtime was silent for long. */
const releaseMs = 3_000;
const callsAtOnce = 16;
/** Keys hold no epoch yet: who begins anew takes another slug. */
const epoch = "0";
/** What a run notes of itself: that it followed a pattern. */
const followed = "followed:";

export function serverCursors(options: ServerCursorsOptions): Cursors {
  const { slug, runtimeId = hostRandom.id(), waits = true } = options;
  // Paths come whole.
  const client = options.client.withoutPrefix();
  const marks = createFollowedMarks(client, slug, runtimeId);
  const held = new Map<string, Held>();
  const turns = createTurns(callsAtOnce);
  let onLost: (path: string, error: unknown) => void = () => {};
  let timer: ReturnType<typeof setInterval> | undefined;
  let signing: Promise<unknown> = Promise.resolve();

  async function put(path: string, own: Held, progress: KeptProgress, how: { release?: true; signal?: AbortSignal }) {
    const { cursor: offset } = JSON.parse(progress.progress) as { cursor: number };
    const { signal, ...release } = how;
    for (;;) {
      const input = { offset, epoch, runtimeId, replaces: own.offset, progress, ...release };
      try {
        await client.cursors.put(slug, path, input, signal === undefined ? {} : { signal });
        own.offset = offset;
        own.progress = progress;
        return;
      } catch (error) {
        const holder = isMillraceError(error, "cursor_conflict") ? error.data.holder : null;
        // It moved it itself, in a call whose answer was lost.
        if (holder?.runtimeId !== runtimeId || holder.offset === own.offset) throw error;
        own.offset = holder.offset;
      }
    }
  }

  /** What is held is kept so, or is known to be lost. */
  function keep(path: string, progress: KeptProgress | undefined, signal?: AbortSignal): Promise<void> {
    const own = held.get(path) ?? { offset: null, turn: Promise.resolve() };
    held.set(path, own);
    const done = own.turn.then(async () => {
      if (own.lost !== undefined) throw own.lost;
      const said = progress ?? own.progress;
      if (said === undefined) return;
      try {
        await put(path, own, said, signal === undefined ? {} : { signal });
      } catch (error) {
        if (isMillraceError(error, "cursor_conflict")) lose(path, own, error);
        throw error;
      }
    });
    own.turn = done.catch(() => {});
    return done;
  }

  function lose(path: string, own: Held, error: unknown): void {
    own.lost = error;
    if (held.get(path) === own) onLost(path, error);
  }

  function beHeard(): void {
    timer ??= setInterval(() => {
      signing = signing.then(giveSigns);
    }, signOfLifeMs);
  }

  /** A repetition of what is stored writes nothing. What fails otherwise than by a loss is said again next time. */
  async function giveSigns(): Promise<void> {
    await marks.makeUp().catch(() => {});
    const sign = (path: string) => turns(() => keep(path, undefined, AbortSignal.timeout(signOfLifeMs)));
    await Promise.allSettled([...held.keys()].map(sign));
  }

  async function find(path: string): Promise<RemoteCursor | undefined> {
    try {
      return await client.cursors.get(slug, path);
    } catch (error) {
      if (isMillraceError(error, "not_found")) return undefined;
      throw error;
    }
  }

  /** From here on it is this runtime's, or it is refused before anything is acted on. */
  async function take(path: string, signal: AbortSignal | undefined): Promise<StoredCursor | undefined> {
    let silentMs = -1;
    let refusal: unknown;
    for (;;) {
      const found = await find(path);
      held.delete(path);
      if (found === undefined) return undefined;
      // Heard since it was asked the last time: it is alive.
      if (refusal !== undefined && found.released !== true && found.silentMs < silentMs) throw refusal;
      silentMs = found.silentMs;
      const own: Held = { offset: found.offset, turn: Promise.resolve() };
      const progress = keptIn(found);
      try {
        if (progress !== undefined) await put(path, own, progress, {});
        held.set(path, own);
        beHeard();
        return progress;
      } catch (error) {
        if (!isMillraceError(error, "cursor_conflict") || !waits) throw error;
        refusal = error;
      }
      await pause(askAgainMs, signal);
    }
  }

  async function giveBack(path: string, own: Held, signal: AbortSignal): Promise<void> {
    await own.turn;
    if (own.lost !== undefined || own.progress === undefined) return;
    await put(path, own, own.progress, { release: true, signal });
  }

  return {
    async load(path, signal) {
      if (!path.startsWith(followed)) return take(path, signal);
      return (await marks.has(path.slice(followed.length))) ? { streamId: "", progress: "" } : undefined;
    },
    paths: async () => [...held.keys()],
    async save(path, cursor) {
      if (path.startsWith(followed)) {
        const pattern = path.slice(followed.length);
        // A single stream that has a cursor needs no mark.
        if (!held.has(pattern)) await marks.make(pattern);
      } else {
        const { snapshot: _, ...progress } = cursor;
        await keep(path, progress);
        if (marks.open) await marks.makeUp().catch(() => {});
      }
      beHeard();
    },
    // It ends with the life of the stream.
    forget: async (path) => void held.delete(path),
    onLost(listener) {
      onLost = listener;
    },
    async close() {
      clearInterval(timer);
      timer = undefined;
      await signing;
      const signal = AbortSignal.timeout(releaseMs);
      const given = Array.from(held, ([path, own]) => turns(() => giveBack(path, own, signal)));
      await Promise.allSettled([...given, marks.makeUp()]);
      held.clear();
    },
  };
}

/** What another program keeps there is no progress of a run. */
function keptIn({ progress }: RemoteCursor): KeptProgress | undefined {
  const stored = progress as Partial<KeptProgress> | undefined;
  const isOurs = typeof stored?.streamId === "string" && typeof stored.progress === "string";
  return isOurs ? (stored as KeptProgress) : undefined;
}
