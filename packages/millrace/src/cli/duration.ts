/** Durations as people write them: 30s, 5m, 1h30m. */
import { UsageError } from "./usage.ts";

const unitMs: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Seconds. Whether a schedule may be that short or long is judged by the server. @throws UsageError */
export function parseSeconds(flag: string, text: string): number {
  const isDuration = /^(?:\d{1,12}(?:\.\d{1,6})?(?:ms|s|m|h|d))+$/.test(text);
  if (!isDuration) throw new UsageError(`--${flag} is a duration such as 30s, 5m, 2h or 1d; got "${text}".`);
  const parts = Array.from(text.matchAll(/([\d.]+)([a-z]+)/g), ([, count, unit]) => Number(count) * unitOf(unit));
  const milliseconds = parts.reduce((sum, part) => sum + part, 0);
  return Math.round(milliseconds) / 1_000;
}

/** In the largest unit that leaves a whole number; to the millisecond. */
export function writeSeconds(seconds: number): string {
  const milliseconds = Math.round(seconds * 1_000);
  const largest = Object.keys(unitMs).findLast((unit) => milliseconds % unitOf(unit) === 0) as string;
  return milliseconds === 0 ? "0s" : `${milliseconds / unitOf(largest)}${largest}`;
}

const unitOf = (unit: string | undefined): number => unitMs[unit as string] as number;
