/** The highest rate of appends at which live readers still hear in time. */

const bisections = 3;

/**
 * Doubling until it no longer holds, then a few bisections between the last two.
 * @param {{lowest: number, highest: number, p99Ms: number, progress: (text: string) => void,
 *   measure: (rate: number) => Promise<{complete: boolean, latency: {p99: number}, achievedPerSecond: number}>}} search
 * @returns {Promise<{rate: number, tried: object[]}>} rate 0 when not even the lowest holds
 */
export async function highestRate({ lowest, highest, p99Ms, progress, measure }) {
  const tried = [];
  /** A rate that fails is tried once more: a moment of somebody else's work must not decide. */
  async function holds(rate) {
    return (await holdsOnce(rate)) || (await holdsOnce(rate));
  }
  async function holdsOnce(rate) {
    const result = await measure(rate);
    const held = result.complete && result.latency.p99 < p99Ms && result.achievedPerSecond >= rate * 0.95;
    progress(`${rate} appends/s: p99 ${result.latency.p99} ms, ${held ? "holds" : "does not hold"}`);
    tried.push({ rate, held, ...result });
    return held;
  }
  let low = 0;
  let high = lowest;
  while (high <= highest && (await holds(high))) [low, high] = [high, high * 2];
  for (let step = 0; step < bisections && low > 0 && high <= highest; step++) {
    const middle = Math.round((low + high) / 2);
    if (await holds(middle)) low = middle;
    else high = middle;
  }
  return { rate: low, tried };
}
