/** One call of a hook from its begin to its end, with everything that can end it, and what became of it. */
import type { Clock } from "../clock.ts";
import { isStreamError, StreamError } from "../errors.ts";
import type { Call } from "./call.ts";
import { isFoldError, isInterruptedError } from "./folded.ts";

/** A hook that runs for longer is ended, and has failed. */
export const hookMsMax = 900_000;
/** How long an ended hook has to come to its end before it is left behind. */
export const graceMs = 5_000;

export type Outcome =
  | { is: "returned" }
  /** From outside: by a pause, a halt, an orderly stop. */
  | { is: "ended" }
  | { is: "diverged"; message: string }
  /** Another attempt would end in the same way. */
  | { is: "hopeless"; message: string; offset?: number }
  /** It was ended by no fault of its own, and may have begun. */
  | { is: "interrupted" }
  /** `costs` is false when the fault is none of the hook's; `pausedPath` is whom it waits for; `waitMs` at least. */
  | { is: "failed"; message: string; costs: boolean; pausedPath?: string; waitMs?: number };

/** Thrown by a hook of ours whose failure is deterministic: its consumer is halted at once. */
export class HopelessError extends Error {}

/** Thrown by a hook of ours that was asked not to come again before some time has passed. */
export class LaterError extends Error {
  readonly waitMs: number;

  constructor(message: string, waitMs: number) {
    super(message);
    this.waitMs = waitMs;
  }
}

export async function runHook(
  call: Call,
  clock: Clock,
  hook: () => void | Promise<void> | undefined,
): Promise<Outcome> {
  const cancelDeadline = clock.setTimer(hookMsMax, () => call.controller.abort(new Error(tooLong)));
  try {
    await endedOrLeft(hookAndAppends(call, hook), call.controller.signal, clock);
    return call.diverged === undefined ? { is: "returned" } : { is: "diverged", message: call.diverged };
  } catch (error) {
    if (call.diverged !== undefined) return { is: "diverged", message: call.diverged };
    return failure(call, error);
  } finally {
    cancelDeadline();
    call.close(callIsOver);
  }
}

async function hookAndAppends(call: Call, hook: () => void | Promise<void> | undefined): Promise<void> {
  await hook();
  await call.settled();
}

/** Waits for the hook; once its signal is aborted, only a little longer. */
export async function endedOrLeft(hook: Promise<void>, signal: AbortSignal, clock: Clock): Promise<void> {
  let cancel = () => {};
  let leave = () => {};
  const leaving = new Promise<never>((_, reject) => {
    leave = () => {
      cancel = clock.setTimer(graceMs, () => reject(signal.reason));
    };
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  });
  try {
    await Promise.race([hook, leaving]);
    // Whoever returns early because of the signal has not done what the event asked for.
    if (signal.aborted) throw signal.reason;
  } finally {
    cancel();
    signal.removeEventListener("abort", leave);
    hook.catch(() => {});
  }
}

function failure(call: Call, error: unknown): Outcome {
  const message = messageOf(error);
  if (isInterruptedError(error)) return { is: "interrupted" };
  if (isFoldError(error)) return { is: "hopeless", message, offset: error.offset };
  if (error instanceof HopelessError) return { is: "hopeless", message };
  if (error instanceof LaterError) return { is: "failed", message, costs: true, waitMs: error.waitMs };
  if (isStreamError(error, "stream_paused") && call.pausedPath !== undefined) {
    return { is: "failed", message, costs: false, pausedPath: call.pausedPath };
  }
  return { is: "failed", message, costs: !isStreamError(error, "unavailable") };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const tooLong = `The hook ran for more than ${hookMsMax / 60_000} minutes.`;

const callIsOver = () => new StreamError("unavailable", "This call of the hook is over.", { retryAfterSeconds: 1 });
