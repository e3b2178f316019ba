/**
 * One line of the report: what was measured, beside what, and whether the target is met.
 *
 * @typedef {{atLeast: number} | {atMost: number} | {ratioAtLeast: number} | {ratioAtMost: number}} Target
 * @typedef {object} Row
 * @property {string} what
 * @property {number} value
 * @property {string} unit
 * @property {string} [peer] name of what stands beside it
 * @property {number} [peerValue]
 * @property {number} [ratio] value / peerValue
 * @property {string} [target] in words
 * @property {boolean} [met]
 * @property {string} [note]
 */

/** @param {{what: string, value: number, unit: string, peer?: string, peerValue?: number, target?: Target, note?: string}} measured */
export function row({ target, ...measured }) {
  const { value, peerValue } = measured;
  const ratio = peerValue === undefined ? undefined : value / peerValue;
  return { ...measured, ratio, ...(target && judge(target, value, ratio)) };
}

function judge(target, value, ratio) {
  const [[kind, bound]] = Object.entries(target);
  const number = bound.toLocaleString("en");
  if (kind === "atLeast") return { target: `>= ${number}`, met: value >= bound };
  if (kind === "atMost") return { target: `<= ${number}`, met: value <= bound };
  if (kind === "ratioAtLeast") return { target: `>= ${number} x`, met: ratio >= bound };
  return { target: `<= ${number} x`, met: ratio <= bound };
}
