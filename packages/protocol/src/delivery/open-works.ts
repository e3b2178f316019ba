/**
 * Work that a hook left open: it runs outside of the cursor, is on disk as open before it begins, and is never begun
 * a second time by itself. What a pause, a halt or the end of a process cuts short is told to afterCatchUp.
 */
import type { Clock } from "../clock.ts";
import { isStreamError, StreamError } from "../errors.ts";
import type { OpenWork, Work } from "../hook.ts";
import { Call, type CallPurpose } from "./call.ts";
import type { Consumer } from "./consumer.ts";
import { isInterruptedError } from "./folded.ts";
import { endedOrLeft, hookMsMax, messageOf } from "./hook-run.ts";

/** Of one processor on one stream: each that begins or ends has the names of all written down. */
const openMax = 100;
const nameCharactersMax = 1_000;
/** When the log could not be written, it is tried again after this time. */
const againAfterMs = 1_000;

export interface OpenWorks {
  readonly size: number;
  /** Until all that was cut short has ended, or is left behind; undefined where nothing was. */
  readonly leaving: Promise<unknown> | undefined;
  /**
   * Returns what resolves when it is over, also where it never began; undefined where it is not to begin.
   * @throws Error when work of this name is open, and was begun for another event; when too much is open
   */
  // biome-ignore lint/suspicious/noExplicitAny: the state is the processor's own
  open(name: string, work: Work<any>, cause: CallPurpose["cause"], depth: number): Promise<void> | undefined;
  /** A hook wishes for its end. */
  abort(name: string): void;
  /** Cuts all short. Resolves when none runs any more, or is left behind. */
  stop(reason: string, refusal: StreamError | undefined): Promise<void>;
}

interface Running {
  open: OpenWork;
  call: Call;
  /** What ended it first, if it was not itself: what comes behind that changes nothing. */
  end?: "wished" | "late" | "cut";
  ended: Promise<void>;
}

export function createOpenWorks(consumer: Consumer): OpenWorks {
  const running = new Map<string, Running>();
  const { house } = consumer;

  function end(one: Running, how: NonNullable<Running["end"]>, reason: string): void {
    one.end ??= how;
    one.call.controller.abort(new Error(reason));
  }

  /** Answers whether nobody needs to be told any more: it came to its own end, was wished to end, or is told of. */
  // biome-ignore lint/suspicious/noExplicitAny: the state is the processor's own
  async function run(one: Running, work: Work<any>): Promise<boolean> {
    const { call, open } = one;
    let cancelDeadline = () => {};
    try {
      // Should the process die from here on, it is known that this was begun.
      await persist(() => house.save(), call, house.clock);
      cancelDeadline = house.clock.setTimer(hookMsMax, () => end(one, "late", tooLong));
      const { signal } = call.controller;
      if (signal.aborted) throw signal.reason;
      const working = work({ signal, append: call.append, state: () => consumer.folded?.value });
      await endedOrLeft(afterAppends(working, call), signal, house.clock);
      return !call.refusedByPause;
    } catch (error) {
      if (one.end === "wished") return true;
      if (isInterruptedError(error)) return false;
      // Somewhere else the refusal may come before the news of the pause.
      if (one.end === "cut" || (one.end === undefined && call.refusedByPause)) return false;
      const message = `The work "${open.name}": ${messageOf(error)}`;
      await persist(() => consumer.tell(open.offset, message, open), call, house.clock);
      return true;
    } finally {
      cancelDeadline();
      call.close(() => new StreamError("unavailable", "This work is over.", { retryAfterSeconds: 1 }));
    }
  }

  // biome-ignore lint/suspicious/noExplicitAny: the state is the processor's own
  async function runAndLeave(one: Running, work: Work<any>): Promise<void> {
    let settled = false;
    try {
      settled = await run(one, work);
    } catch (error) {
      house.onFailure(error);
    }
    running.delete(one.open.name);
    consumer.workEnded(one.open.name, settled);
  }

  return {
    get size() {
      return running.size;
    },
    get leaving() {
      const cut = [...running.values()].filter(({ end }) => end === "cut");
      return cut.length === 0 ? undefined : Promise.all(cut.map(({ ended }) => ended));
    },
    open(name, work, cause, depth) {
      const before = running.get(name)?.open;
      // The hook that began it failed, and is called again.
      if (before?.offset === cause.offset) return undefined;
      if (before !== undefined)
        throw new Error(`Work named "${name}" is open already. Abort it, or name it otherwise.`);
      if (running.size >= openMax) throw new Error(`${openMax} pieces of work are open already; no more may be.`);
      if (name.length > nameCharactersMax)
        throw new Error(`The name of work has ${name.length} characters, more than ${nameCharactersMax}.`);
      const open: OpenWork = { name, offset: cause.offset };
      if (!consumer.workBegins(open)) return undefined;
      const key = `${cause.offset}/${encodeURIComponent(name)}`;
      // A hook may begin work of one name twice, one after the other.
      const call = new Call(consumer, { key, cause, depth, isFirst: false, before: [] });
      const one: Running = { open, call, ended: Promise.resolve() };
      running.set(name, one);
      one.ended = runAndLeave(one, work);
      return one.ended;
    },
    abort(name) {
      const one = running.get(name);
      if (one !== undefined) end(one, "wished", "The work was aborted.");
    },
    async stop(reason, refusal) {
      const all = [...running.values()];
      for (const one of all) {
        if (refusal !== undefined) one.call.close(() => refusal);
        end(one, "cut", reason);
      }
      await Promise.all(all.map(({ ended }) => ended));
    },
  };
}

const tooLong = `The work ran for more than ${hookMsMax / 60_000} minutes.`;

/** A log that fails for a while is no reason to forget work that was asked for. Goes on until the work is aborted. */
async function persist(write: () => Promise<void>, { controller }: Call, clock: Clock): Promise<void> {
  for (;;) {
    try {
      return await write();
    } catch (error) {
      if (controller.signal.aborted || !isStreamError(error, "unavailable")) throw error;
      await aWhile(controller.signal, clock);
    }
  }
}

function aWhile(signal: AbortSignal, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.setTimer(againAfterMs, () => {
      signal.removeEventListener("abort", end);
      resolve();
    });
    const end = () => {
      cancel();
      resolve();
    };
    signal.addEventListener("abort", end, { once: true });
  });
}

async function afterAppends(working: Promise<void>, call: Call): Promise<void> {
  await working;
  await call.settled();
}
