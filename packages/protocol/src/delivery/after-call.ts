/** What a call that is over means: what the driver hears of it, and what is told as an event. */
import type { Clock, Random } from "../clock.ts";
import type { Heard } from "../driver.ts";
import type { StreamEvent } from "../event.ts";
import { isReport } from "./facts.ts";
import type { Outcome } from "./hook-run.ts";

export interface AfterCall {
  heard: Heard;
  /** To be told at the offset that it is about. */
  message?: string;
  isFailure?: boolean;
  /** Nothing is tried again before this stream is resumed. */
  waitsFor?: string;
}

export interface CallSituation {
  /** The consumer was stopped, or its stream paused, meanwhile. */
  isCut: boolean;
  clock: Pick<Clock, "now">;
  random: Pick<Random, "fraction">;
  silentAboutReports: boolean | undefined;
}

export function afterCall(outcome: Outcome, about: StreamEvent | { offset: number }, at: CallSituation): AfterCall {
  if (outcome.is === "returned") return { heard: { is: "returned" } };
  if (outcome.is === "diverged") return { heard: { is: "diverged" }, message: outcome.message };
  if (outcome.is === "ended" || at.isCut) return { heard: { is: "ended" } };
  if (outcome.is === "interrupted") return { heard: { is: "interrupted" } };
  const { message } = outcome;
  if (outcome.is === "hopeless") {
    return { heard: { is: "foldFailed", offset: outcome.offset ?? about.offset, message }, isFailure: true };
  }
  const { costs, pausedPath, waitMs = 0 } = outcome;
  const isSilent = at.silentAboutReports === true && "type" in about && isReport(about);
  return {
    heard: { is: "failed", message, now: at.clock.now(), jitter: at.random.fraction(), costs, waitMs },
    isFailure: true,
    ...(costs && !isSilent ? { message } : {}),
    ...(pausedPath === undefined ? {} : { waitsFor: pausedPath }),
  };
}
