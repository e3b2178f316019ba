/**
 * Whoever has been answered may have left something behind that the host knows nothing of, such as a promise that the
 * runtime was asked to wait for. When that takes a process with it, those who run are suspected, and do nothing wrong
 * alone. So when it comes again, they and those who ran before are each alone for a while behind what they do, the
 * longer the more often.
 */
import type { Activity } from "./activity.ts";

/** Of those of whom nothing is known but that they ran: so many for each end of a process. */
const suspectedMax = 8;
/** Whoever ran last longer ago than this is not thought of. */
const agoMs = 30_000;
const firstHoldMs = 5_000;
const longestHoldMs = 60_000;
const rememberedMax = 10_000;

export interface LeftBehind {
  /** Who may have left something behind, the likeliest first: who was cleared of that least often, and ran last. */
  among(last: readonly Activity[], now: number): Activity[];
  /** How long this one is to be alone behind what it does. */
  holdMs(suspect: string): number;
  /** It did alone what it was doing, and nothing happened by then. */
  letGo(suspect: string, now: number): void;
  wasLetGoLately(suspect: string, now: number): boolean;
  /** It was alone for a while, and nothing happened. */
  cleared(suspect: string): void;
  convicted(suspect: string): void;
}

export function createLeftBehind(): LeftBehind {
  /** How often each was cleared, and when each was let go; those first for whom that was longest ago. */
  const times = new Map<string, number>();
  const letGoAt = new Map<string, number>();
  const timesOf = ({ suspect }: Activity) => times.get(suspect) ?? 0;
  return {
    among: (last, now) =>
      last
        .filter(({ deed, sentAt }) => deed.what !== "load" && now - sentAt < agoMs)
        .sort((one, other) => timesOf(one) - timesOf(other) || other.sentAt - one.sentAt)
        .slice(0, suspectedMax),
    holdMs: (suspect) => Math.min(firstHoldMs * 2 ** (times.get(suspect) ?? 0), longestHoldMs),
    letGo: (suspect, now) => remember(letGoAt, suspect, now),
    wasLetGoLately: (suspect, now) => now - (letGoAt.get(suspect) ?? Number.NEGATIVE_INFINITY) < agoMs,
    cleared: (suspect) => remember(times, suspect, (times.get(suspect) ?? 0) + 1),
    convicted(suspect) {
      times.delete(suspect);
      letGoAt.delete(suspect);
    },
  };
}

function remember(map: Map<string, number>, name: string, value: number): void {
  map.delete(name);
  map.set(name, value);
  if (map.size > rememberedMax) map.delete(map.keys().next().value as string);
}
