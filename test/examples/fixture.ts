/** A server for the tests of a file, and ping-pong processors that are gone when their test ends. */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { StreamEvent } from "@millrace/protocol";
import { afterAll, afterEach } from "vitest";
import { append, breakerOff, follow, readAll } from "../processes/http.ts";
import { temporaryDirectory } from "../processes/server-process.ts";
import { sharedServer } from "../processes/shared-server.ts";
import { type PingPong, type Program, startPingPong } from "./ping-pong-process.ts";

/** What is saved of a stream. */
export interface Saved {
  streamId: string;
  cursor: number;
  begun: number;
  version: number;
  state: { pings: number };
}

export interface Fixture {
  server: { readonly url: string };
  /** A path of its own, whose circuit breaker is off. */
  stream(): Promise<string>;
  /** Starts the processor, with the cursor file of this path, and waits until it is caught up. */
  start(stream: string, args?: string[], url?: string): Promise<PingPong>;
  /** The same without waiting. */
  launch(stream: string, args?: string[], env?: Record<string, string>): PingPong;
  cursorFile(stream: string): string;
  saved(stream: string): Saved;
  /** Changes what was saved of a stream, as if the process had ended elsewhere. */
  save(stream: string, changes: Partial<Saved>): void;
  ping(stream: string, ...numbers: unknown[]): Promise<StreamEvent[]>;
  /** Waits until a stream has an event of the type at or behind the offset, and gives all events. */
  until(stream: string, what: (event: StreamEvent) => boolean): Promise<StreamEvent[]>;
}

export function createFixture(program: Program): Fixture {
  const server = sharedServer();
  const { directory, remove } = temporaryDirectory();
  const running: PingPong[] = [];
  let streams = 0;
  afterEach(async () => {
    for (const processor of running.splice(0)) await processor.kill();
  });
  afterAll(remove);

  const cursorFile = (stream: string) => path.join(directory, `${stream.replaceAll("/", "-")}.cursor.json`);
  const read = (stream: string) => JSON.parse(readFileSync(cursorFile(stream), "utf8"));
  const launch: Fixture["launch"] = (stream, args = [], env = {}) => {
    const processor = startPingPong(program, [stream, "--cursor", cursorFile(stream), ...args], env);
    running.push(processor);
    return processor;
  };
  return {
    server,
    cursorFile,
    launch,
    async stream() {
      const stream = `/pings/${++streams}`;
      await append(server.url, stream, breakerOff);
      return stream;
    },
    async start(stream, args = [], url = server.url) {
      const processor = launch(stream, ["--url", url, ...args]);
      await processor.said(/caught up/);
      return processor;
    },
    saved: (stream) => read(stream).streams[stream],
    save(stream, changes) {
      const file = read(stream);
      Object.assign(file.streams[stream], changes);
      const token = changes.cursor === undefined ? file.token : String(changes.cursor);
      writeFileSync(cursorFile(stream), JSON.stringify({ ...file, token }));
    },
    ping: (stream, ...numbers) => append(server.url, stream, numbers.map(toPing)),
    async until(stream, what) {
      await follow(server.url, stream, "", what);
      return readAll(server.url, stream);
    },
  };
}

export const toPing = (n: unknown) => ({ type: "ping", payload: { n } }) as const;

/** A pong for this number, and nothing before it counts as one. */
export const isPong =
  (n: unknown) =>
  ({ type, payload }: StreamEvent): boolean =>
    type === "pong" && (payload as { n: unknown }).n === n;
