/** A wait with an end: what hangs fails while it is known what was waited for, and not when the whole test is over. */

/** Longer than anything takes that is well, also on a busy machine. */
export const patienceMs = 30_000;

/**
 * Rejects when it takes longer.
 * @param about asked for then: what else is known, such as what a server said
 */
export async function within<Value>(
  what: string,
  waited: Promise<Value>,
  withinMs: number = patienceMs,
  about: () => string = () => "",
): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${withinMs} ms. ${about()}`.trim())), withinMs);
  });
  try {
    return await Promise.race([waited, late]);
  } finally {
    clearTimeout(timer);
  }
}

const linesShown = 20;

/** For people: the end of what a process said. */
export function lastLines({ stdout, stderr }: { stdout: string; stderr: string }): string {
  const shown = (text: string) => text.trim().split("\n").slice(-linesShown).join("\n").slice(-2_000);
  return `It said: ${shown(stdout) || "nothing"}\nand on stderr: ${shown(stderr) || "nothing"}`;
}
