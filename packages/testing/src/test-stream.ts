/**
 * A stream to run a processor against, in memory: the engine that the server runs, with a clock that only the test
 * moves. So paths, keys, attempts, halts, open work and the circuit breaker are what they are in production.
 */
import { type AppendInput, createMemoryDirectory, decodeRecord, type StreamState } from "@millrace/engine";
import { defaultLimits, type EventInput, type Processor, type StreamEvent } from "@millrace/protocol";
import { realNow } from "./event-loop.ts";
import { createManualClock, type ManualClock } from "./manual-clock.ts";
import { resolvePath } from "./relative-path.ts";
import { createSeededRandom } from "./seeded-random.ts";
import { checkedEvent, testPath } from "./stored-events.ts";
import { idleWithin, project, startTestServer, type TestServer } from "./test-server.ts";
import { viewOf } from "./test-stream-view.ts";

export interface TestStreamOptions {
  /** Where the stream is. Default `/test`. */
  path?: string;
  /** What is in the stream before the processor starts there: reduced, not acted on. */
  history?: readonly EventInput[];
  /** How much real time `settled` gives to hooks and open work. Default 5000. */
  limitMs?: number;
}

export interface TestStream<State> {
  readonly path: string;
  /** Time as the engine sees it. Moved with `advance`, so that what falls due is done. */
  readonly clock: ManualClock;
  /**
   * Appends an event, or several as one batch, and resolves with what was stored; the processor acts afterwards.
   * @param path another stream: absolute, or relative to this one (`./child`, `../sibling`)
   * @throws Error when it is no event
   * @throws StreamError as an append in production: `stream_paused`, `idempotency_conflict`, `offset_conflict`
   */
  append(events: EventInput | readonly EventInput[], path?: string): Promise<StreamEvent[]>;
  /** All events of this stream or of another one; empty where there is none. */
  events(path?: string): Promise<StreamEvent[]>;
  /** What the processor appended, wherever to, in the order in which it was stored. */
  appended(): Promise<StreamEvent[]>;
  /** What went wrong in its reducer, its hooks or its work, as the stream was told. */
  errors(): Promise<ProcessorError[]>;
  /** The state of the processor, with all that was done so far. */
  state(): Promise<State>;
  /** What `GET /api/state` says of the stream: whether it is paused, the processor's cursor, open work, schedules. */
  streamState(): Promise<StreamState>;
  /** Lets time pass: what falls due meanwhile (another attempt, a schedule) is done at its time. */
  advance(milliseconds: number): Promise<void>;
  /**
   * Resolves when hooks and open work have ended and nothing is left that could be done now. What waits for its next
   * attempt waits for `advance`.
   * @throws Error that names what still runs after `limitMs`
   */
  settled(): Promise<void>;
  /**
   * Ends the server and starts it again on the same log.
   * @param how "crash": nothing that ran comes to an end; afterCatchUp hears of it in `interrupted`
   */
  restart(how?: "orderly" | "crash"): Promise<void>;
  /** Ends everything. Hooks that run see their `signal` aborted. */
  close(): Promise<void>;
}

export interface ProcessorError {
  message: string;
  /** Of the event at which it failed. */
  offset: number;
  /** The processor goes no further. */
  halted?: true;
}

/**
 * A stream with one processor, which has started when this resolves, its afterCatchUp included.
 *
 *     const stream = await createTestStream(pingPong);
 *     await stream.append({ type: "ping" });
 *     await stream.settled();
 *     await stream.state(); // {pings: 1}
 *     await stream.close();
 *
 * @throws Error as `settled`, and for a history with something in it that is no event
 */
export async function createTestStream<State>(
  processor: Processor<State>,
  { path = testPath, history = [], limitMs = 5_000 }: TestStreamOptions = {},
): Promise<TestStream<State>> {
  const stream = createStream(processor, path, limitMs);
  try {
    if (history.length > 0) await stream.append(history);
    const payload = { slug: processor.slug, script: "// is given by the test" };
    await stream.append({ type: "https://events.iterate.com/events/stream/dynamic-worker/configured", payload });
    await stream.settled();
    return stream;
  } catch (error) {
    await stream.close();
    throw error;
  }
}

function createStream<State>(processor: Processor<State>, own: string, limitMs: number): TestStream<State> {
  // The engine closes its directory, and another start of it goes on with the same one.
  const directory = { ...createMemoryDirectory(), close: async () => {} };
  const clock = createManualClock();
  const random = createSeededRandom(1);
  const start = () => startTestServer({ processor, directory, clock, random });
  let server = start();

  async function settled(): Promise<void> {
    clock.advance(0);
    const busy = await idleWithin(limitMs, () => server.busyWith(own));
    if (busy.length > 0)
      throw new Error(`${processor.slug}: after ${limitMs} ms this had not ended: ${busy.join(", ")}.`);
  }

  return {
    path: own,
    clock,
    ...viewOf<State>(own, processor.slug, () => server.engine),
    append: (events, path = "./") => append(server, resolvePath(own, path), events),
    settled,

    async advance(milliseconds) {
      const until = clock.elapsedMs() + milliseconds;
      // A hook takes no time by this clock. One that never ends must not hold it up for each thing that falls due.
      const giveUpAt = realNow() + limitMs;
      const hooksEnded = () => idleWithin(giveUpAt - realNow(), async () => [...server.hooks]);
      await hooksEnded();
      do {
        clock.advance(Math.min(clock.nextTimerInMs() ?? Number.POSITIVE_INFINITY, until - clock.elapsedMs()));
        await hooksEnded();
      } while (clock.elapsedMs() < until);
    },

    async restart(how = "orderly") {
      await server.stop(how);
      server = start();
      await settled();
    },

    close: () => server.stop("orderly"),
  };
}

async function append(
  { engine }: TestServer,
  path: string,
  events: EventInput | readonly EventInput[],
): Promise<StreamEvent[]> {
  const inputs = (Array.isArray(events) ? (events as readonly EventInput[]) : [events as EventInput]).map(toInput);
  const stored: StreamEvent[] = [];
  for (let i = 0; i < inputs.length; i += defaultLimits.batchEvents) {
    const batch = inputs.slice(i, i + defaultLimits.batchEvents);
    const appended = await engine.append(project, path, batch, { bytes: 0 });
    stored.push(...appended.map(({ offset, record }) => decodeRecord(path, offset, record)));
  }
  return stored;
}

function toInput(input: EventInput): AppendInput {
  const event = checkedEvent(input, { fromServer: false });
  return event.idempotencyKey === undefined ? { event } : { event, idempotencyKey: event.idempotencyKey };
}
