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
  noCalls,
  type SandboxCall,
  type SandboxCalls,
  type SandboxDelivery,
  type SandboxedProcessor,
  type SandboxResult,
} from "../ports/sandbox.ts";
import { unavailable } from "../unavailable.ts";
import { weightOf } from "./weight.ts";

const snapshotEvents = 1_000;
/** For weighing a state against what would be folded instead: about so many has an event. */
const charactersOfEvent = 200;
/** What is handed over to be folded is sent at the latest when it is so much. */
const queueEventsMax = 500;
/**
 * At most 1.5 MiB as JSON, and one event more: a message to the sandbox has 32 MiB, of which the largest state takes 24,
 * and the largest event, which is a deployment, 6.
 */
const queueWeightMax = 256 * 1024;
/** How often a state may be gone before what is asked of it: then it is given up for now. */
const rebuildsMax = 5;

export function openSandboxed(sandboxed: SandboxedProcessor, slug: string, opening: Opening): Folded {
  const { description } = sandboxed;
  const { house } = opening;
  const types = description.types === undefined ? undefined : new Set(description.types);
  // Another version of the same code may be at its end while this one begins: each has its own.
  const name = `${house.streamId()} ${slug} ${house.random.id()}`;
  const initial: StoredState = { offset: 0, state: JSON.stringify(description.initialState) };
  /** From where the state can be made again. */
  let kept = opening.stored ?? initial;
  /** Up to here it was folded in the sandbox, which may have lost it since. */
  let settled = kept.offset;
  /** Whether the sandbox was given it and has not failed since. */
  let isPlaced = false;
  /** Everything up to here was handed over. */
  let offset = kept.offset;
  let queue: StreamEvent[] = [];
  let queueWeight = 0;
  let snapshotOffset = kept.offset;
  let fresh: StoredState | undefined;
  /** Events that were passed over and are not on disk as such. */
  const untold: { offset: number; fault: string }[] = [];

  /**
   * One delivery, once the state that it builds on is there. What is handed over counts as folded from here on: a hook
   * may be left behind, and the next delivery does not wait for its end. Where it was not, it is made again.
   */
  async function ask(part: Pick<SandboxDelivery, "call" | "wantState">, calls: SandboxCalls): Promise<SandboxResult> {
    const before = settled;
    const events = queue;
    settled = events.at(-1)?.offset ?? before;
    queue = [];
    queueWeight = 0;
    const wantState = part.wantState === true || isWorthKeeping(settled);
    const given = !isPlaced && kept.offset === before ? { given: kept.state } : {};
    isPlaced = true;
    const first = { ...part, ...given, base: before, events, wantState };
    let result = await deliver(withoutRepeatedEvent(first), calls);
    for (let rebuilds = 0; result.is === "state-missing"; rebuilds++) {
      if (rebuilds === rebuildsMax) throw unavailable(`The sandbox did not keep the state of ${slug}.`);
      await rebuild();
      result = await deliver({ ...part, ...fromKept(), base: settled, events: [], wantState }, calls);
    }
    await tellPassedOver();
    return result;
  }

  async function tellPassedOver(): Promise<void> {
    for (let next = untold[0]; next !== undefined; next = untold[0]) {
      await opening.passedOver(next.offset, next.fault);
      untold.shift();
    }
  }

  function fromKept(): { given?: string } {
    return kept.offset === settled ? { given: kept.state } : {};
  }

  /** Up to where it was, from what is known and the log. Should it vanish once more meanwhile, whoever asks finds out. */
  async function rebuild(): Promise<void> {
    let base = kept.offset;
    let given: { given?: string } = { given: kept.state };
    for (let after = base; after < settled; ) {
      const { events, through } = await house.read(after, settled, { types, shared: false });
      for (const part of inParts(events)) {
        const result = await deliver({ ...given, base, events: part }, noCalls);
        if (result.is === "state-missing") return;
        base = part.at(-1)?.offset ?? base;
        given = {};
      }
      after = through;
    }
  }

  /** Rejects with FoldError, and with what the consumer takes for no fault of the code. */
  async function deliver(delivery: Omit<SandboxDelivery, "state">, calls: SandboxCalls): Promise<SandboxResult> {
    try {
      const result = await sandboxed.deliver({ ...delivery, state: name }, calls);
      if (result.is === "done" && result.state !== undefined) keep(delivery, result.state);
      if (result.is === "fold-failed") throw new FoldError(result.offset, `reduce failed: ${textOf(result.error)}`);
      if (result.is !== "state-missing") untold.push(...result.passedOver);
      return result;
    } catch (error) {
      // Whatever was there may be gone.
      isPlaced = false;
      if (!isSandboxError(error)) throw error;
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

  function keep({ base, events }: Pick<SandboxDelivery, "base" | "events">, state: string): void {
    const at = events.at(-1)?.offset ?? base;
    if (at <= kept.offset) return;
    const isFresh = isWorthKeeping(at);
    kept = { offset: at, state };
    if (!isFresh) return;
    snapshotOffset = at;
    fresh = kept;
  }

  async function settleNow(): Promise<void> {
    while (queue.length > 0) await ask({}, folding());
  }

  /** What `reduce` says is said of the last event that it is given. */
  function folding(): SandboxCalls {
    return { ...noCalls, logger: opening.loggerAt(Math.max(offset, 1)) };
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
      queueWeight += weightOf(event as unknown as JsonValue);
      return queue.length < queueEventsMax && queueWeight < queueWeightMax ? undefined : settleNow();
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
      const result = await ask({ wantState: true }, folding());
      if (result.is === "done" && result.state !== undefined) return JSON.parse(result.state) as JsonValue;
      const why = result.is === "hook-failed" ? textOf(result.error) : "the sandbox gave none";
      throw new FoldError(settled, `there is no state: ${why}`);
    },
    afterAppend({ event, attempt, ...tools }) {
      // What is only folded waits, and goes along with the next call, or is settled before the consumer rests.
      if (!description.hasAfterAppend) return undefined;
      return callHook({ hook: "afterAppend", attempt, event }, event.offset, tools);
    },
    afterCatchUp({ streamPath, missed, interrupted, ...tools }) {
      const about = { ...(missed && { missed: { ...missed } }), ...(interrupted && { interrupted }) };
      const call = { hook: "afterCatchUp", streamPath, ...about } as SandboxCall;
      return callHook(call, Math.max(settled, 1), tools);
    },
    isHolding: () => false,
    close() {
      sandboxed.forget(name);
      sandboxed.close();
    },
  };
}

type Tools = Omit<HookArguments<unknown> & CatchUpArguments<unknown>, "state" | "event" | "attempt" | "streamPath">;

/** One at least. */
function inParts(events: readonly StreamEvent[]): StreamEvent[][] {
  const parts: StreamEvent[][] = [[]];
  let weight = 0;
  for (const event of events) {
    if (weight >= queueWeightMax) {
      parts.push([]);
      weight = 0;
    }
    parts.at(-1)?.push(event);
    weight += weightOf(event as unknown as JsonValue);
  }
  return parts;
}

/** The event that is acted on goes over once. */
function withoutRepeatedEvent<Delivery extends Omit<SandboxDelivery, "state">>(delivery: Delivery): Delivery {
  const { call, events } = delivery;
  if (call?.hook !== "afterAppend" || call.event?.offset !== events.at(-1)?.offset) return delivery;
  return { ...delivery, call: { hook: call.hook, attempt: call.attempt } };
}

/** What a hook of the code threw, as if it had been thrown here. */
function errorOf(error: CodeError): Error {
  const message = textOf(error);
  if (error.code === undefined) return new Error(message);
  return new StreamError(error.code as "unavailable", error.message, (error.data ?? {}) as never);
}

/** The message, and the first of the author's own lines: who called a package, not where in it. */
function textOf({ name, message, stack = "" }: CodeError): string {
  // The code chose what it is: blanks that may be line breaks would be looked at once more for each of them.
  const lines = stack.match(/^[ \t]*at .*$/gm) ?? [];
  const line = (lines.find((each) => /:\d+\)?$/.test(each) && !each.includes("node_modules/")) ?? lines[0])?.trim();
  const what = name === "Error" || message.startsWith(`${name}:`) ? message : `${name}: ${message}`;
  return line === undefined ? what : `${what} (${line})`;
}
