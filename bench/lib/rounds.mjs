/** Interleaved rounds (A B A B A B): what disturbs the machine for a while disturbs every contender. */

/**
 * @template T, R
 * @param {{rounds: number, contenders: T[], nameOf: (contender: T) => string, progress: (text: string) => void}} plan
 * @param {(contender: T, round: number) => Promise<R>} measure
 * @returns {Promise<R[][]>} the results of each contender, in the order given
 */
export async function interleave({ rounds, contenders, nameOf, progress }, measure) {
  const results = contenders.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      progress(`${nameOf(contender)}, round ${round + 1} of ${rounds}`);
      results[index].push(await measure(contender, round));
    }
  }
  return results;
}

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
