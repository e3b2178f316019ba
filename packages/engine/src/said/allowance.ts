/** How much may be said: so many lines at once, and from then on so many a second. */

export interface Allowance {
  readonly atOnce: number;
  readonly perSecond: number;
}

/** Of one processor on one stream: enough to follow what a hook does, and no more than a person can read. */
export const ofSpeaker: Allowance = { atOnce: 100, perSecond: 10 };
/** Of all of a project together: the server writes each line into its log before it goes on. */
export const ofProject: Allowance = { atOnce: 1_000, perSecond: 100 };

/** What is left of an allowance, as it was at a time. */
export interface Bucket {
  left: number;
  atMs: number;
}

export function fullBucket({ atOnce }: Allowance, nowMs: number): Bucket {
  return { left: atOnce, atMs: nowMs };
}

/** Takes one line off it, if there is one. */
export function take(bucket: Bucket, allowance: Allowance, nowMs: number): boolean {
  refill(bucket, allowance, nowMs);
  if (bucket.left < 1) return false;
  bucket.left--;
  return true;
}

/** Whether it is as good as a new one. */
export function isFull(bucket: Bucket, allowance: Allowance, nowMs: number): boolean {
  refill(bucket, allowance, nowMs);
  return bucket.left === allowance.atOnce;
}

function refill(bucket: Bucket, { atOnce, perSecond }: Allowance, nowMs: number): void {
  bucket.left = Math.min(atOnce, bucket.left + ((nowMs - bucket.atMs) / 1_000) * perSecond);
  bucket.atMs = nowMs;
}
