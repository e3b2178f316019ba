/**
 * Given a history, when something is appended, then: the words in which a processor is tested, over a whole stream.
 *
 *     await given(pingPong, [{ type: "ping" }])
 *       .when({ type: "ping" })
 *       .then({ state: { pings: 2 }, appended: [{ type: "pong", payload: { pings: 2 } }] });
 *
 * It needs no test runner: what differs is an Error, and without `then` the outcome is a plain value.
 */
import type { EventInput, Processor, StreamEvent } from "@millrace/protocol";
import { type Expected, expectOutcome } from "./expected-outcome.ts";
import { createTestStream, type ProcessorError, type TestStreamOptions } from "./test-stream.ts";

export interface Outcome<State> {
  /** Where the stream is: what paths in `appended` are relative to. */
  path: string;
  /** Of the processor, at the end. */
  state: State;
  /**
   * What the processor appended since its start, wherever to, in the order in which it was stored: in its hooks, in its
   * afterCatchUp, in the work that it left open.
   */
  appended: readonly StreamEvent[];
  /** What went wrong meanwhile, as the stream was told: a reducer, a hook or work that threw, a halt, a pause. */
  errors: readonly ProcessorError[];
}

export interface Given<State> {
  /**
   * Appends what is given, as one batch, and waits until hooks and open work have ended. Without an event: the
   * processor starts, and that is all.
   */
  when(events?: EventInput | readonly EventInput[], options?: WhenOptions): Happening<State>;
}

export interface WhenOptions {
  /** How much time passes afterwards, as in `TestStream.advance`. Default 0: what failed is not tried again. */
  advanceMs?: number;
}

/** A promise of the outcome, whose `then` also takes what is expected of it. */
export interface Happening<State> {
  /**
   * Compares, and resolves with the outcome.
   * @throws Error that shows what was expected and what came; also when something went wrong and `errors` is not given
   */
  then(this: Checkable, expected: Expected<State>): Promise<Outcome<State>>;
  then<Fulfilled = Outcome<State>, Rejected = never>(
    onFulfilled?: ((outcome: Outcome<State>) => Fulfilled | PromiseLike<Fulfilled>) | null,
    onRejected?: ((reason: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected>;
}

/** For the compiler: `await` passes over a `then` that is for another `this`, and would stumble over the first one. */
export interface Checkable {
  then: unknown;
  readonly isCheckable?: true;
}

/**
 * A processor with what was in its stream before it started there: that is reduced and not acted on, as in production.
 * Each `when` begins with a stream of its own.
 *
 *     const { state, appended, errors } = await given(pingPong).when({ type: "ping" });
 *
 * @param history what is appended before the processor starts
 * @throws Error (from `when`) for what is no event, and naming what still runs after `limitMs`
 */
export function given<State>(
  processor: Processor<State>,
  history: readonly EventInput[] = [],
  options: Omit<TestStreamOptions, "history"> = {},
): Given<State> {
  return {
    when(events = [], { advanceMs = 0 } = {}) {
      const happening = run(processor, { ...options, history }, events, advanceMs);
      return {
        // biome-ignore lint/suspicious/noThenProperty: it is meant to be awaited
        then(first?: unknown, second?: ((reason: unknown) => unknown) | null) {
          if (typeof first !== "object" || first === null) return happening.then(first as undefined, second);
          const expected = first as Expected<State>;
          return happening.then((outcome) => expectOutcome(processor.slug, outcome, expected));
        },
      } as Happening<State>;
    },
  };
}

async function run<State>(
  processor: Processor<State>,
  options: TestStreamOptions,
  events: EventInput | readonly EventInput[],
  advanceMs: number,
): Promise<Outcome<State>> {
  const stream = await createTestStream(processor, options);
  try {
    await stream.append(events);
    await stream.settled();
    if (advanceMs > 0) {
      await stream.advance(advanceMs);
      await stream.settled();
    }
    const [state, appended, errors] = await Promise.all([stream.state(), stream.appended(), stream.errors()]);
    return { path: stream.path, state, appended, errors };
  } finally {
    await stream.close();
  }
}
