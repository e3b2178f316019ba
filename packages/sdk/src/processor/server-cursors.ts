/**
 * Cursors that the server keeps, one for each slug and stream, held by one runtime at a time: a second one with the
 * same slug is told who holds it, and may go on when that has been silent for 30 s.
 */
import type { EventsClient } from "../client.ts";
import { isMillraceError } from "../errors.ts";
import { pause } from "../retry.ts";
import type { Cursors, StoredCursor } from "./cursors.ts";
import { hostRandom } from "./host.ts";

export interface ServerCursorsOptions {
  client: EventsClient;
  slug: string;
  /** Who this is, in what others are told; made up without it. */
  runtimeId?: string;
  /**
   * Whether a start waits, up to half a minute, for a holder that says nothing any more: mostly the run before this one.
   * One that is heard meanwhile is at work, and the start is refused. True without it.
   */
  waits?: boolean;
}

/** States may be large: they are folded again. */
type KeptProgress = Omit<StoredCursor, "snapshot">;

/** The server forgets a holder after 30 s. */
const signOfLifeMs = 10_000;
const askAgainMs = 1_000;
/** Keys hold no epoch yet: who begins anew takes another slug. */
const epoch = "0";

/** What a run notes of itself, such as which pattern it followed, has no stream to stand at. */
const isStream = (path: string) => path.startsWith("/");

export function serverCursors(options: ServerCursorsOptions): Cursors {
  const { client, slug, runtimeId = hostRandom.id(), waits = true } = options;
  /** What the server has of each path that is held. */
  const held = new Map<string, { offset: number; progress: KeptProgress }>();
  let released = false;
  let timer: ReturnType<typeof setInterval> | undefined;

  async function put(path: string, cursor: StoredCursor): Promise<void> {
    const { cursor: offset } = JSON.parse(cursor.progress) as { cursor: number };
    const replaces = held.get(path)?.offset ?? null;
    const { snapshot: _, ...progress } = cursor;
    await client.cursors.put(slug, path, { offset, epoch, runtimeId, replaces, progress });
    held.set(path, { offset, progress });
    timer ??= setInterval(giveSigns, signOfLifeMs);
  }

  /** @throws MillraceError `cursor_conflict` when another one is at work, or is not waited for */
  async function claim(path: string, cursor: StoredCursor): Promise<void> {
    for (let silentMs = -1; ; ) {
      try {
        return await put(path, cursor);
      } catch (error) {
        if (!isMillraceError(error, "cursor_conflict") || !waits || released) throw error;
        const { holder } = error.data;
        // Heard since it was asked the last time: it is alive.
        if (holder === null || holder.silentMs < silentMs) throw error;
        silentMs = holder.silentMs;
      }
      await pause(askAgainMs, undefined);
    }
  }

  /** A repetition of what is stored writes nothing. */
  function giveSigns(): void {
    for (const [path, { offset, progress }] of held) {
      client.cursors.put(slug, path, { offset, epoch, runtimeId, replaces: offset, progress }).catch(() => {
        // Whoever is held by another, or has no contact, hears of it when it saves.
      });
    }
  }

  return {
    async load(path) {
      if (!isStream(path)) return undefined;
      let found: Awaited<ReturnType<typeof client.cursors.get>>;
      try {
        found = await client.cursors.get(slug, path);
      } catch (error) {
        if (isMillraceError(error, "not_found")) return undefined;
        throw error;
      }
      const stored = found.progress as Partial<KeptProgress> | undefined;
      if (typeof stored?.streamId !== "string" || typeof stored.progress !== "string") return undefined;
      const cursor = stored as KeptProgress;
      held.set(path, { offset: found.offset, progress: cursor });
      // From here on it is this runtime's, or it is refused before anything is acted on.
      await claim(path, cursor);
      return cursor;
    },
    paths: async () => [...held.keys()],
    save: async (path, cursor) => {
      if (isStream(path)) await put(path, cursor);
    },
    // It ends with the life of the stream.
    forget: async (path) => void held.delete(path),
    // It says nothing more of itself: after 30 s others may take over.
    async close() {
      released = true;
      clearInterval(timer);
      timer = undefined;
      held.clear();
    },
  };
}
