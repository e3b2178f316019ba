/**
 * What the engine counts: plain numbers that are added to in place, so that counting costs nothing an append could
 * feel. Whoever wants to know reads them; the engine tells nobody. No number belongs to a path or a project.
 */

export interface Histogram {
  /** Upper ends, inclusive; what is larger is counted behind the last. */
  readonly bounds: readonly number[];
  /** How many values fell into each, not cumulated; one more than there are bounds. */
  readonly counts: number[];
  sum: number;
}

export interface Meter {
  /** Requests to append that a stream took on. */
  appends: number;
  /** Events on disk. */
  events: number;
  /** Reads that began. */
  reads: number;
  /** Commits that failed: their outcome is unknown. */
  commitFailures: number;
  /** Events of each commit. */
  readonly commitEvents: Histogram;
  /** Seconds from the log's being asked for a commit until it is on disk. */
  readonly commitSeconds: Histogram;
  /** Calls of hooks that ended, and how long they ran, milliseconds. */
  hooks: number;
  hookMs: number;
  hookFailures: number;
  /** Events that webhooks and peers of WebSockets have taken, and attempts at it that failed. */
  deliveries: number;
  deliveryFailures: number;
  /** Consumers that went no further. */
  halts: number;
  /** Events that a schedule appended, and how late each was, seconds. */
  readonly tickSeconds: Histogram;
  /** Set while the last commit failed: since when, and of what. */
  failing: Failing | undefined;
}

export interface Failing {
  /** Milliseconds since 1970 of the first failure since a commit succeeded, and of the last. */
  since: number;
  lastAt: number;
  message: string;
}

const eventBounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];
const secondBounds = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createMeter(): Meter {
  return {
    appends: 0,
    events: 0,
    reads: 0,
    commitFailures: 0,
    commitEvents: createHistogram(eventBounds),
    commitSeconds: createHistogram(secondBounds),
    hooks: 0,
    hookMs: 0,
    hookFailures: 0,
    deliveries: 0,
    deliveryFailures: 0,
    halts: 0,
    tickSeconds: createHistogram(secondBounds),
    failing: undefined,
  };
}

export function createHistogram(bounds: readonly number[]): Histogram {
  return { bounds, counts: new Array(bounds.length + 1).fill(0), sum: 0 };
}

export function observe(histogram: Histogram, value: number): void {
  const { bounds, counts } = histogram;
  let i = 0;
  while (i < bounds.length && value > (bounds[i] as number)) i++;
  counts[i] = (counts[i] as number) + 1;
  histogram.sum += value;
}
