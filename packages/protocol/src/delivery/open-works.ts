/**
 * Work that a hook left open: it runs outside of the cursor, is on disk as open before it begins, and is never begun
 * a second time by itself. What an unclean end leaves open, the next start finds.
 */
import type { Clock } from "../clock.ts";
import { isStreamError, StreamError } from "../errors.ts";
import type { OpenWork, Work } from "../hook.ts";
import { Call, type CallPurpose } from "./call.ts";
import type { Consumer } from "./consumer.ts";
import { endedOrLeft, hookMsMax, messageOf } from "./hook-run.ts";

/** When the log could not be written, it is tried again after this time. */
const againAfterMs = 1_000;

export interface OpenWorks {
  readonly size: number;
  /**
   * Returns what resolves when it is over, also where it never began; undefined where it is not to begin.
   * @throws Error when work of this name is open, and was begun for another event
   */
  // biome-ignore lint/suspicious/noExplicitAny: the state is the processor's own
  open(name: string, work: Work<any>, cause: CallPurpose["cause"], depth: number): Promise<void> | undefined;
  abort(name: string, reason?: string): void;
  /** Ends all. Resolves when none runs any more, or is left behind. */
  stop(reason: string, refusal: StreamError | undefined): Promise<void>;
}

interface Running {
  call: Call;
  offset: number;
  ended: Promise<void>;
}

export function createOpenWorks(consumer: Consumer): OpenWorks {
  const running = new Map<string, Running>();
  const { house } = consumer;

  // biome-ignore lint/suspicious/noExplicitAny: the state is the processor's own
  async function run(open: OpenWork, work: Work<any>, call: Call): Promise<void> {
    let tooLong = false;
    const deadline = () => {
      tooLong = true;
      call.controller.abort(new Error(`The work ran for more than ${hookMsMax / 60_000} minutes.`));
    };
    let cancelDeadline = () => {};
    let completed = false;
    try {
      // Should the process die from here on, it is known that this was begun.
      await persist(() => house.save(), call, house.clock);
      cancelDeadline = house.clock.setTimer(hookMsMax, deadline);
      const { signal } = call.controller;
      if (signal.aborted) throw signal.reason;
      const working = work({ signal, append: call.append, state: () => consumer.stateNow() });
      await endedOrLeft(afterAppends(working, call), signal, house.clock);
      completed = true;
    } catch (error) {
      // Any other abort was somebody's wish; everything else is told.
      if (tooLong || !call.controller.signal.aborted) {
        const message = `The work "${open.name}": ${messageOf(error)}`;
        await persist(() => consumer.tell(open.offset, message), call, house.clock);
      }
    } finally {
      cancelDeadline();
      call.close(() => new StreamError("unavailable", "This work is over.", { retryAfterSeconds: 1 }));
      running.delete(open.name);
      consumer.workEnded(open.name, completed);
    }
  }

  return {
    get size() {
      return running.size;
    },
    open(name, work, cause, depth) {
      const before = running.get(name);
      // The hook that began it failed, and is called again.
      if (before?.offset === cause.offset) return undefined;
      if (before !== undefined)
        throw new Error(`Work named "${name}" is open already. Abort it, or name it otherwise.`);
      const open: OpenWork = { name, offset: cause.offset };
      if (!consumer.workBegins(open)) return undefined;
      const call = new Call(consumer, { key: `${cause.offset}/${encodeURIComponent(name)}`, cause, depth, before: [] });
      const ended = run(open, work, call).catch(house.onFailure);
      running.set(name, { call, offset: cause.offset, ended });
      return ended;
    },
    abort: (name, reason = "The work was aborted.") => running.get(name)?.call.controller.abort(new Error(reason)),
    async stop(reason, refusal) {
      const all = [...running.values()];
      for (const { call } of all) {
        if (refusal !== undefined) call.close(() => refusal);
        call.controller.abort(new Error(reason));
      }
      await Promise.all(all.map(({ ended }) => ended));
    },
  };
}

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
