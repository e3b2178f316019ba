/** Processor and server are killed in turn, in the middle of their work: nothing is lost, nothing stands twice. */
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { createEventsClient, type EventsClient, type StreamEvent } from "@millrace/sdk";
import { createSeededRandom } from "@millrace/testing";
import { expect, onTestFinished, test } from "vitest";
import { breakerOff } from "../processes/http.ts";
import {
  type Command,
  type ServerProcess,
  spawnProgram,
  startServer,
  temporaryDirectory,
} from "../processes/server-process.ts";
import { builtin, ofType, types } from "./world.ts";

interface Call {
  path: string;
  acted?: number;
  missed?: { after: number; through: number };
}

const file = fileURLToPath(new URL("answering-process.mjs", import.meta.url));
const rounds = process.env.MILLRACE_LONG === "1" ? 40 : 8;
const paths = ["/kill/a", "/kill/b", "/kill/c"];

/** The log, and what the processor wrote down of its calls, after all the kills. */
async function havoc(catchUp: "act" | "decide", seed: number) {
  const { directory, remove } = temporaryDirectory();
  const calls = path.join(directory, "calls.jsonl");
  const data = path.join(directory, "data");
  let server = await startServer({ data });
  const { port, url } = server;
  let processor = await begin();
  onTestFinished(async () => {
    processor.child.kill("SIGKILL");
    await processor.exited;
    await server.kill();
    remove();
  });
  const client = createEventsClient({ baseUrl: url, retry: { attempts: 1_000, baseMs: 5, maxMs: 100 } });
  const random = createSeededRandom(seed);

  async function begin(): Promise<Command> {
    const command = spawnProgram(process.execPath, [file, url, path.join(directory, "cursors.jsonl"), catchUp, calls]);
    while (!command.output().stdout.includes("ready")) {
      await Promise.race([once(command.child.stdout as NodeJS.ReadableStream, "data"), failed(command)]);
    }
    return command;
  }

  /** Kills one of the two at a moment that chance chooses, and starts it again a little later. */
  async function kill(writing: Promise<unknown>): Promise<void> {
    await until(client, paths[0] as string, random);
    if (random.fraction() < 0.5) {
      await server.kill();
      server = await restart(data, port);
      await writing;
      return;
    }
    processor.child.kill("SIGKILL");
    await processor.exited;
    await writing;
    processor = await begin();
  }

  for (const stream of paths) await client.append(stream, breakerOff);
  for (let round = 0; round < rounds; round++) await kill(write(client, 15));
  for (const stream of paths) await client.append(stream, { type: "report" });
  const log = new Map<string, StreamEvent[]>();
  for (const stream of paths) log.set(stream, await through(client, stream));
  processor.child.kill("SIGTERM");
  const exit = await processor.exited;
  const lines = existsSync(calls) ? readFileSync(calls, "utf8").split("\n").slice(0, -1) : [];
  return { log, exit, calls: lines.map((line) => JSON.parse(line) as Call) };
}

async function failed({ exited }: Command): Promise<never> {
  const { code, signal, stderr } = await exited;
  throw new Error(`The processor ended (${code ?? signal}): ${stderr}`);
}

function restart(data: string, port: number): Promise<ServerProcess> {
  return startServer({ data, port });
}

async function write(client: EventsClient, each: number): Promise<void> {
  for (let i = 1; i <= each; i++) {
    for (const stream of paths) await client.append(stream, { type: "input", payload: i });
  }
}

/** Some inputs later. */
async function until(client: EventsClient, stream: string, random: { fraction(): number }): Promise<void> {
  let left = 1 + Math.floor(random.fraction() * 10);
  for await (const event of client.tail(stream)) if (event.type === "input" && --left === 0) return;
}

async function through(client: EventsClient, stream: string): Promise<StreamEvent[]> {
  const last = ofType("reported");
  const events: StreamEvent[] = [];
  for await (const event of client.stream(stream)) {
    events.push(event);
    if (last(event)) return events;
  }
  throw new Error(`${stream} ended`);
}

const offsetsOf = (events: StreamEvent[], type: string) =>
  events.filter((event) => event.type === type).map(({ offset }) => offset);
const causesOf = (events: StreamEvent[], type: string) =>
  events.filter((event) => event.type === type).map(({ source }) => source?.cause?.offset as number);

/** What a fold from the start gives, up to an offset. */
function folded(events: StreamEvent[], end: number) {
  const payloads = events.filter(({ type, offset }) => type === "input" && offset <= end).map(({ payload }) => payload);
  return { inputs: payloads.length, sum: payloads.reduce((sum: number, each) => sum + Number(each), 0) };
}

function expectTrueStates(events: StreamEvent[]): void {
  // No kill is a failure of the processor, and nobody took its successor for a rival.
  expect(types(events)).not.toContain(builtin("error-occurred"));
  for (const type of ["output", "reported"]) {
    for (const event of events.filter((each) => each.type === type)) {
      expect(event.payload).toEqual(folded(events, event.source?.cause?.offset as number));
    }
  }
}

test.each([1, 2])(
  "with decisions every input is acted on or missed, each output stands once (seed %i)",
  async (seed) => {
    const { log, calls, exit } = await havoc("decide", seed);
    expect(exit).toMatchObject({ code: 0, stderr: expect.not.stringContaining("Another answerer") });
    for (const [stream, events] of log) {
      const missed = calls.flatMap((call) => (call.path === stream && call.missed ? [call.missed] : []));
      const causes = causesOf(events, "output");
      expect(new Set(causes).size).toBe(causes.length);
      const neglected = offsetsOf(events, "input").filter(
        (offset) =>
          !causes.includes(offset) && !missed.some((range) => range.after < offset && offset <= range.through),
      );
      expect(neglected).toEqual([]);
      expectTrueStates(events);
    }
  },
);

test.each([1, 2])(
  'with catchUp: "act" every input is acted on in order, each output stands once (seed %i)',
  async (seed) => {
    const { log, calls, exit } = await havoc("act", seed);
    expect(exit).toMatchObject({ code: 0, stderr: expect.not.stringContaining("Another answerer") });
    for (const [stream, events] of log) {
      expect(causesOf(events, "output")).toEqual(offsetsOf(events, "input"));
      const acted = calls.flatMap((call) => (call.path === stream && call.acted !== undefined ? [call.acted] : []));
      expect([...new Set(acted)].sort((a, b) => a - b)).toEqual([...new Set(acted)]);
      expectTrueStates(events);
    }
  },
);
