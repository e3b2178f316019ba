/**
 * What processors said on the server. Live it goes on over as many connections as it takes, each behind the last line
 * that was given out. The server keeps lines in memory alone, so a restart of it is a gap that nobody can count.
 */
import { createParser } from "eventsource-parser";
import type { Connection } from "./connection.ts";
import { isTransient, type MillraceError } from "./errors.ts";
import type { StreamOptions } from "./live.ts";
import { openLive } from "./live-answer.ts";
import type { LogLevel, LogLine } from "./log-line.ts";
import { delayMs, pause } from "./retry.ts";

export interface LogsOptions extends Pick<StreamOptions, "onContact" | "onDisconnected"> {
  /** What was said on this stream and below it; on all of them without it. */
  path?: string;
  /** Only of the processor with this slug. */
  slug?: string;
  /** This one and what is more important. */
  level?: LogLevel;
  /** Goes on with what is said from now on. */
  live?: boolean;
  /** The `id` of a line: goes on behind it, if the server still knows it. */
  after?: string;
  /** So many lines of the project were forgotten by the server before this reader came for them. */
  onMissed?(lines: number): void;
  /** Ends the read by throwing the signal's reason. */
  signal?: AbortSignal;
}

type Item = { line: LogLine } | { missed: number };

export async function* readLogs(
  connection: Connection,
  { signal = new AbortController().signal, ...options }: LogsOptions,
): AsyncGenerator<LogLine, void, undefined> {
  const { live = false, onMissed, onDisconnected } = options;
  const { retry } = connection;
  let { after } = options;
  let connected = false;
  let failures = 0;
  for (;;) {
    let lost: unknown;
    try {
      for await (const item of itemsOf(connection, { ...options, after }, signal)) {
        connected = true;
        failures = 0;
        if (item === undefined) continue;
        if ("missed" in item) onMissed?.(item.missed);
        else {
          after = item.line.id;
          yield item.line;
        }
      }
      if (!live) return;
    } catch (error) {
      // Somebody who was connected waits for ever; a server that was never there is rather a wrong address.
      if (!isTransient(error) || (!(connected && live) && failures >= retry.attempts)) throw error;
      lost = error;
    }
    const waitMs = delayMs(retry, failures++, lost);
    onDisconnected?.({ error: lost as MillraceError | undefined, attempt: failures, delayMs: waitMs });
    await pause(waitMs, signal);
  }
}

/** Of one connection; undefined where something came that is no item. */
async function* itemsOf(
  connection: Connection,
  { path = "", slug, level, live, after, onContact }: LogsOptions & { after: string | undefined },
  signal: AbortSignal,
): AsyncGenerator<Item | undefined> {
  const query = { format: "sse", path: connection.pathOf(path), slug, level, live, after };
  const { texts } = await openLive(connection, "/api/logs", { query }, signal);
  let items: Item[] = [];
  const parser = createParser({
    onEvent({ event = "message", data }) {
      if (event === "message") items.push({ line: JSON.parse(data) as LogLine });
      if (event === "missed") items.push(JSON.parse(data) as { missed: number });
    },
  });
  for await (const text of texts()) {
    onContact?.();
    parser.feed(text);
    yield undefined;
    yield* items;
    items = [];
  }
}
