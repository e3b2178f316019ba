/**
 * The state of a deployed processor on one stream, which lies in a sandbox. It may vanish there at any time: then it is
 * made again, from the last that is known of it and the log, before what was to be done is asked for once more.
 */
import {
  type CatchUpArguments,
  FoldError,
  type Folded,
  type HookArguments,
  InterruptedError,
  type JsonValue,
  type Opening,
  type StoredState,
  StreamError,
  type StreamEvent,
} from "@millrace/protocol";
import {
  type CodeError,
  isSandboxError,
  type SandboxCall,
  type SandboxCalls,
  type SandboxDelivery,
  type SandboxError,
  type SandboxedProcessor,
  type SandboxResult,
} from "../ports/sandbox.ts";
import { unavailable } from "../unavailable.ts";

const snapshotEvents = 1_000;
/** For weighing a state against what would be folded instead: about so many has an event. */
const charactersOfEvent = 200;
/** What is handed over to be folded is sent at the latest when it is so much. */
const queueEventsMax = 500;
/** How often a state may be gone before what is asked of it: then it is given up for now. */
const rebuildsMax = 5;

export function openSandboxed(sandboxed: SandboxedProcessor, slug: string, opening: Opening): Folded {
  const { description } = sandboxed;
  const { house } = opening;
  const types = description.types === undefined ? undefined : new Set(description.types);
  const name = `${house.streamId()} ${slug} ${opening.name}`;
  const initial: StoredState = { offset: 0, state: JSON.stringify(description.initialState) };
  /** From where the state can be made again. */
  let kept = opening.stored ?? initial;
  /** The sandbox has the state up to here, if it has it. */
  let base = kept.offset;
  let given: string | undefined = kept.state;
  let offset = kept.offset;
  let queue: StreamEvent[] = [];
  let snapshotOffset = kept.offset;
  let fresh: StoredState | undefined;
  /** Events that were passed over and are not on disk as such. */
  const untold: { offset: number; fault: string }[] = [];
  /** A hook that was left behind may come to its end when others have been asked. */
  let turns = 0;

  /** One delivery, once the state that it builds on is there. */
  async function ask(part: Pick<SandboxDelivery, "call" | "wantState">, calls: SandboxCalls): Promise<SandboxResult> {
    const turn = ++turns;
    for (let rebuilds = 0; ; rebuilds++) {
      const events = [...queue];
      const from = given === undefined ? {} : { given };
      const result = await deliver(turn, { ...part, ...from, events, base }, calls);
      if (result.is !== "state-missing") {
        // At once, so that nothing is folded again whatever comes next.
        given = undefined;
        base = events.at(-1)?.offset ?? base;
        queue = queue.slice(events.length);
        await tellPassedOver();
        return result;
      }
      if (rebuilds === rebuildsMax) throw unavailable(`The sandbox did not keep the state of ${slug}.`);
      await rebuild(turn);
    }
  }

  /** What comes back for a hook that was left behind says nothing of the state: others were asked meanwhile. */
  function expectCurrent(turn: number): void {
    if (turn !== turns) throw new InterruptedError("The call was left behind.");
  }

  async function deliver(turn: number, part: Part, calls: SandboxCalls): Promise<SandboxResult> {
    const last = part.events.at(-1)?.offset ?? part.base;
    const wantState = part.wantState === true || isWorthKeeping(last);
    let result: SandboxResult;
    try {
      result = await sandboxed.deliver({ ...part, state: name, wantState }, calls);
    } catch (error) {
      expectCurrent(turn);
      // Whatever was there may be gone; whoever is called next finds out.
      given = undefined;
      if (isSandboxError(error)) throw endOf(error, last);
      throw error;
    }
    expectCurrent(turn);
    if (result.is === "state-missing") return result;
    if (result.is === "fold-failed") throw new FoldError(result.offset, `reduce failed: ${textOf(result.error)}`);
    untold.push(...result.passedOver);
    if (result.is === "done" && result.state !== undefined) keep({ offset: last, state: result.state });
    return result;
  }

  async function tellPassedOver(): Promise<void> {
    for (let next = untold[0]; next !== undefined; next = untold[0]) {
      await opening.passedOver(next.offset, next.fault);
      untold.shift();
    }
  }

  /** A large state is written only once more lies behind the last one. */
  function isWorthKeeping(at: number): boolean {
    return at - snapshotOffset >= Math.max(snapshotEvents, kept.state.length / charactersOfEvent);
  }

  function keep(state: StoredState): void {
    const isFresh = isWorthKeeping(state.offset);
    kept = state;
    if (!isFresh) return;
    snapshotOffset = state.offset;
    fresh = state;
  }

  /**
   * Up to `base`, from what is known and the log. Whatever ends it, what the sandbox is said to have stays as it was:
   * whoever asks next finds out that it has not.
   */
  async function rebuild(turn: number): Promise<void> {
    const through = base;
    let at = kept.offset;
    let from: { given?: string } = { given: kept.state };
    if (at === through) given = kept.state;
    for (let after = at; after < through; ) {
      const page = await house.read(after, through, { types, shared: false });
      expectCurrent(turn);
      const result = await deliver(turn, { ...from, events: page.events, base: at }, quiet);
      if (result.is === "state-missing") return;
      from = {};
      at = page.events.at(-1)?.offset ?? at;
      after = page.through;
    }
  }

  async function settleNow(): Promise<void> {
    while (queue.length > 0) await ask({}, quiet);
  }

  async function callHook(call: SandboxCall, about: number, tools: Tools): Promise<void> {
    const refused = (message: string) => void opening.tell(about, message).catch(() => {});
    const calls = { ...tools, refused } as unknown as SandboxCalls;
    const result = await ask({ call }, calls);
    if (result.is === "hook-failed") throw errorOf(result.error);
  }

  return {
    decides: description.hasAfterCatchUp,
    get offset() {
      return offset;
    },
    value: undefined,
    ...(types === undefined ? {} : { admit: (event: StreamEvent) => (types.has(event.type) ? { event } : undefined) }),
    fold(event) {
      queue.push(event);
      offset = event.offset;
      return queue.length < queueEventsMax ? undefined : settleNow();
    },
    through(reached) {
      offset = Math.max(offset, reached);
    },
    settle: () => (queue.length === 0 ? undefined : settleNow()),
    snapshot() {
      const snapshot = fresh;
      fresh = undefined;
      return snapshot;
    },
    async state() {
      const result = await ask({ wantState: true }, quiet);
      if (result.is === "hook-failed") throw errorOf(result.error);
      return JSON.parse((result as { state: string }).state) as JsonValue;
    },
    afterAppend({ event, attempt, ...tools }) {
      // What is only folded waits, and goes along with the next call, or is settled before the consumer rests.
      if (!description.hasAfterAppend) return undefined;
      const isFolded = queue.at(-1)?.offset !== event.offset;
      return callHook({ hook: "afterAppend", attempt, ...(isFolded ? { event } : {}) }, event.offset, tools);
    },
    afterCatchUp({ streamPath, missed, interrupted, ...tools }) {
      const about = { ...(missed && { missed: { ...missed } }), ...(interrupted && { interrupted }) };
      const call = { hook: "afterCatchUp", streamPath, ...about } as SandboxCall;
      return callHook(call, Math.max(base, 1), tools);
    },
    isHolding: () => false,
    close() {
      sandboxed.forget(name);
      sandboxed.close();
    },
  };
}

type Part = Omit<SandboxDelivery, "state">;

type Tools = Omit<HookArguments<unknown> & CatchUpArguments<unknown>, "state" | "event" | "attempt" | "streamPath">;

/** Where no hook is called, nothing is asked for. */
const quiet: SandboxCalls = {
  append: () => Promise.reject(new Error("Nothing is called.")),
  signal: new AbortController().signal,
  abort: () => {},
  logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  waitUntil: () => undefined,
  refused: () => {},
};

/** @param offset of the event that is named where another attempt would end in the same way */
function endOf({ reason, message }: SandboxError, offset: number): Error {
  if (reason === "interrupted") return new InterruptedError(message);
  if (reason === "unavailable") return unavailable(message);
  return new FoldError(offset, message);
}

/** What a hook of the code threw, as if it had been thrown here. */
function errorOf(error: CodeError): Error {
  const message = textOf(error);
  if (error.code === undefined) return new Error(message);
  return new StreamError(error.code as "unavailable", error.message, (error.data ?? {}) as never);
}

/** The message, and the first of the author's own lines. */
function textOf({ name, message, stack = "" }: CodeError): string {
  const line = /^\s*at .*$/m.exec(stack)?.[0].trim();
  const what = name === "Error" || message.startsWith(`${name}:`) ? message : `${name}: ${message}`;
  return line === undefined ? what : `${what} (${line})`;
}
