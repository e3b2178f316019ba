/**
 * Real time, for what a manual clock does not move: promises, and whatever a hook waits for outside. The functions are
 * taken when this file is loaded, so that a test whose own timers are replaced by fake ones still gets on.
 */
const { setTimeout: realTimeout, performance: clock } = globalThis;
const readClock = clock.now.bind(clock);
/** Where the host has it, it costs no millisecond. */
const { setImmediate: realImmediate } = globalThis as { setImmediate?(run: () => void): unknown };

/** Milliseconds, of no known beginning. */
export function realNow(): number {
  return readClock();
}

/** Lets everything run that waits for nothing but its turn. */
export async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    await new Promise<void>((resolve) => {
      if (realImmediate === undefined) realTimeout(resolve, 0);
      else realImmediate(resolve);
    });
  }
}

export function aWhile(): Promise<void> {
  return new Promise((resolve) => realTimeout(resolve, 2));
}
