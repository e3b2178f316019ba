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
  type SandboxedProcessor,
  type SandboxResult,
} from "../ports/sandbox.ts";
import { unavailable } from "../unavailable.ts";

const snapshotEvents = 1_000;
/** For weighing a state against what would be folded instead: about so many has an event. */
const charactersOfEvent = 200;
/** What is handed over to be folded is sent at the latest when it is so much. */
const queueEventsMax = 500;
const queueCharactersMax = 4 * 1024 * 1024;
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
  let queueCharacters = 0;
  let snapshotOffset = kept.offset;
  let fresh: StoredState | undefined;

  /** One delivery, once the state that it builds on is there. */
  async function ask(part: Pick<SandboxDelivery, "call" | "wantState">, calls: SandboxCalls): Promise<SandboxResult> {
    for (let rebuilds = 0; ; rebuilds++) {
      const events = queue;
      const result = await deliverOnce({ ...part, events }, calls);
      if (result.is !== "state-missing") {
        queue = queue.slice(events.length);
        queueCharacters = 0;
        return result;
      }
      if (rebuilds === rebuildsMax) throw unavailable(`The sandbox did not keep the state of ${slug}.`);
      await rebuild();
    }
  }

  async function deliverOnce(
    part: Pick<SandboxDelivery, "call" | "wantState" | "events">,
    calls: SandboxCalls,
  ): Promise<SandboxResult> {
    const last = part.events.at(-1)?.offset ?? base;
    const wantState = part.wantState === true || isWorthKeeping(last);
    const from = given === undefined ? {} : { given };
    const result = await deliver({ ...part, ...from, state: name, base, wantState }, calls);
    if (result.is === "state-missing") return result;
    if (result.is === "fold-failed") throw new FoldError(result.offset, `reduce failed: ${textOf(result.error)}`);
    given = undefined;
    base = last;
    for (const { offset: at, fault } of result.passedOver) await opening.passedOver(at, fault);
    if (result.is === "done" && result.state !== undefined) keep({ offset: base, state: result.state });
    return result;
  }

  async function deliver(delivery: SandboxDelivery, calls: SandboxCalls): Promise<SandboxResult> {
    try {
      return await sandboxed.deliver(delivery, calls);
    } catch (error) {
      if (!isSandboxError(error)) throw error;
      // Whatever was there may be gone; whoever is called next is given the state.
      given = undefined;
      // Nothing but folding began: it is done again, from what is known of the state.
      if (error.reason === "interrupted" && delivery.call === undefined) return { is: "state-missing" };
      if (error.reason === "interrupted") throw new InterruptedError(error.message);
      if (error.reason === "unavailable") throw unavailable(error.message);
      throw new FoldError(delivery.events.at(-1)?.offset ?? delivery.base, error.message);
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

  /** Up to `base`, from what is known and the log. Should it vanish once more meanwhile, whoever asks next finds out. */
  async function rebuild(): Promise<void> {
    const through = base;
    base = kept.offset;
    given = kept.state;
    for (let after = base; after < through; ) {
      const page = await house.read(after, through, { types, shared: false });
      const result = await deliverOnce({ events: page.events }, quiet);
      if (result.is === "state-missing") break;
      after = page.through;
    }
    base = through;
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
      queueCharacters += JSON.stringify(event.payload)?.length ?? 0;
      return queue.length < queueEventsMax && queueCharacters < queueCharactersMax ? undefined : settleNow();
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
      if (result.is === "done" && result.state !== undefined) return JSON.parse(result.state) as JsonValue;
      const why = result.is === "hook-failed" ? textOf(result.error) : "the sandbox gave none";
      throw new FoldError(base, `there is no state: ${why}`);
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
