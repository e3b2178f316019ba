/** Microseconds of CLOCK_MONOTONIC: one clock for all processes of the machine, exact as a number for centuries. */
export function monotonicMicroseconds() {
  return Number(process.hrtime.bigint() / 1000n);
}
