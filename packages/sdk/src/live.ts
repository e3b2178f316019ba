/**
 * A live read: history, then what is new, over as many connections as it takes. Each begins behind the last event that
 * was given out, so nothing is missing and nothing comes twice, also when the server was restarted in between.
 */
import type { StreamEvent } from "@millrace/protocol";
import type { Connection, Query } from "./connection.ts";
import { isTransient, type MillraceError } from "./errors.ts";
import type { Progress } from "./event-stream.ts";
import { createFrameParser, type Item } from "./frames.ts";
import { createLife, type Life } from "./life.ts";
import { openLive } from "./live-answer.ts";
import { positionOf } from "./pages.ts";
import { delayMs, pause, type Retry } from "./retry.ts";

export interface StreamOptions {
  /** Exclusive: an offset, `"start"` (default of `stream`), `"end"` (default of `tail`), or a cursor. */
  after?: number | string;
  /** `false`: end where history ends. */
  live?: boolean;
  /** Only these types; `*` matches any characters. */
  types?: readonly string[];
  /** The stream and everything below it, those that are born later too, in the order of commits. */
  includeChildren?: boolean;
  /** Ends the read by throwing the signal's reason. */
  signal?: AbortSignal;
  /** Live: all that was there is given out, what comes next is new. Called again after each reconnection. */
  onCaughtUp?(position: CaughtUp): void;
  /** Live: something came on the connection, if only a sign of life. */
  onContact?(): void;
  /** Live: the connection was lost, or not made; the next attempt is in `delayMs`. */
  onDisconnected?(disconnection: Disconnected): void;
}

export interface CaughtUp {
  /** The cursor of this place: as `after` of another read it goes on from here. */
  after: string;
}

export interface Disconnected {
  /** Undefined when the server ended the connection in good order, as it does when it stops. */
  error: MillraceError | undefined;
  /** How many attempts failed since the last connection, this one included. */
  attempt: number;
  delayMs: number;
}

export async function* readLive(
  connection: Connection,
  path: string,
  options: StreamOptions,
  progress: Progress,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  const { types, includeChildren, onCaughtUp, onDisconnected, onContact } = options;
  const fixed: Query = { format: "sse", live: true, markers: true, includeChildren, type: types };
  const route = connection.at("/api/streams", path);
  const retry: Retry = { ...connection.retry };
  let position = positionOf(options.after);
  const life = createLife();
  let connected = false;
  let failures = 0;
  for (;;) {
    let lost: unknown;
    try {
      for await (const items of openFrames(
        connection,
        route,
        { ...fixed, ...position },
        { retry, life, onContact },
        signal,
      )) {
        connected = true;
        failures = 0;
        for (const item of items) {
          if (item.kind === "deleted") return;
          if (item.cursor !== undefined) {
            progress.cursor = item.cursor;
            position = { after: item.cursor };
          }
          if (item.kind === "event") {
            if (!includeChildren) life.hear(item.event);
            yield item.event;
          } else if (item.kind === "caught-up") onCaughtUp?.({ after: item.cursor });
        }
      }
    } catch (error) {
      // Somebody who was connected waits for ever; a server that was never there is rather a wrong address.
      if (!isTransient(error) || (!connected && failures >= retry.attempts)) throw error;
      lost = error;
    }
    const waitMs = delayMs(retry, failures++, lost);
    onDisconnected?.({ error: lost as MillraceError | undefined, attempt: failures, delayMs: waitMs });
    await pause(waitMs, signal);
  }
}

/** The items of one connection, a chunk of them at a time, until the server ends it. */
async function* openFrames(
  connection: Connection,
  route: string,
  query: Query,
  { retry, life, onContact }: { retry: Retry; life: Life; onContact: StreamOptions["onContact"] },
  signal: AbortSignal,
): AsyncGenerator<Item[]> {
  const { response, texts } = await openLive(connection, route, { query }, signal);
  if (!life.isOf(response)) {
    // Deleted while there was no connection: told like a deletion that was seen.
    await response.body?.cancel().catch(() => {});
    return yield [{ kind: "deleted" }];
  }
  const parser = createFrameParser({
    filtered: query.type !== undefined,
    onRetry(ms) {
      if (retry.hearsServer) retry.baseMs = ms;
    },
  });
  for await (const text of texts()) {
    onContact?.();
    const items = parser.feed(text);
    if (items.length > 0) yield items;
  }
}
