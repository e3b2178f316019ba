/**
 * Latencies in buckets: microseconds, exact below 256, then 128 buckets for each doubling (an error below 1 %).
 * Recording is two integer operations and an increment, so it costs the load generator nothing that shows.
 */
const exactBuckets = 256;
const bucketsPerDoubling = 128;
const doublings = 24; // 256 us to 71 minutes

export function createHistogram() {
  const counts = new Uint32Array(exactBuckets + bucketsPerDoubling * doublings);
  let count = 0;
  let max = 0;
  return {
    /** @param {number} microseconds */
    record(microseconds) {
      const value = Math.max(0, Math.round(microseconds));
      counts[bucketOf(value)]++;
      count++;
      if (value > max) max = value;
    },
    /** Quantiles in milliseconds; null where nothing was recorded. */
    summary() {
      const at = (quantile) => (count === 0 ? null : round(quantileOf(counts, count, quantile, max) / 1000));
      return { count, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: count === 0 ? null : round(max / 1000) };
    },
    get count() {
      return count;
    },
    reset() {
      counts.fill(0);
      count = 0;
      max = 0;
    },
  };
}

function bucketOf(value) {
  if (value < exactBuckets) return value;
  const doubling = Math.min(doublings - 1, 23 - Math.clz32(value)); // 0 for 256..511
  const within = Math.min(bucketsPerDoubling - 1, (value >>> (doubling + 1)) - bucketsPerDoubling);
  return exactBuckets + doubling * bucketsPerDoubling + within;
}

/** The upper edge of the bucket that holds the quantile, so a target is never met by rounding. */
function quantileOf(counts, count, quantile, max) {
  let left = Math.ceil(count * quantile);
  for (let bucket = 0; bucket < counts.length; bucket++) {
    left -= counts[bucket];
    if (left <= 0) return Math.min(max, upperEdge(bucket));
  }
  return max;
}

function upperEdge(bucket) {
  if (bucket < exactBuckets) return bucket;
  const doubling = Math.floor((bucket - exactBuckets) / bucketsPerDoubling);
  const within = (bucket - exactBuckets) % bucketsPerDoubling;
  return (within + bucketsPerDoubling + 1) * 2 ** (doubling + 1) - 1;
}

function round(milliseconds) {
  return Math.round(milliseconds * 1000) / 1000;
}
