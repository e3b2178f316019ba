/**
 * Marks on the server that a pattern was followed: without one, a stream that has no cursor yet may be older than the
 * first start, and with one it was born later. Each is a cursor that nobody holds, at `/`, which outlives the streams
 * below it; it never moves.
 */
import type { EventsClient } from "../client.ts";
import { isMillraceError } from "../errors.ts";

export interface FollowedMarks {
  has(pattern: string): Promise<boolean>;
  /** Resolves also where there is no place for it yet: in a project without any stream. */
  make(pattern: string): Promise<void>;
  /** Makes those that had no place. */
  makeUp(): Promise<void>;
  /** Some still have no place. */
  readonly open: boolean;
}

const place = "/";

export function createFollowedMarks(client: EventsClient, slug: string, runtimeId: string): FollowedMarks {
  const open = new Set<string>();
  const slugOf = (pattern: string) => `${slug} follows ${pattern}`;

  async function write(pattern: string): Promise<void> {
    const mark = { offset: 0, epoch: "0", runtimeId, replaces: null, release: true };
    try {
      await client.cursors.put(slugOf(pattern), place, mark);
    } catch (error) {
      if (isMillraceError(error, "not_found")) return;
      // It is there already.
      if (!isMillraceError(error, "cursor_conflict")) throw error;
    }
    open.delete(pattern);
  }

  async function makeUp(): Promise<void> {
    for (const pattern of [...open]) await write(pattern);
  }

  return {
    get open() {
      return open.size > 0;
    },
    makeUp,
    async make(pattern) {
      open.add(pattern);
      await write(pattern);
    },
    async has(pattern) {
      try {
        await client.cursors.get(slugOf(pattern), place);
        return true;
      } catch (error) {
        if (isMillraceError(error, "not_found")) return false;
        throw error;
      }
    },
  };
}
