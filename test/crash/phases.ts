/** What a crash test is doing now and how long all before took: a run that is slow, or hangs, says where. */
import { within } from "../processes/within.ts";

export interface Phases {
  /** Rejects when it takes longer, and says what it was. */
  run<Value>(what: string, doing: () => Promise<Value>, withinMs?: number): Promise<Value>;
  /** For people: what runs now, and what took longest. */
  told(): string;
}

const slowestShown = 8;
/** Some wait for a backlog to be worked off: each wait within has a bound of its own, which is less. */
const longestMs = 90_000;

export function createPhases(): Phases {
  const over: { what: string; tookMs: number }[] = [];
  const running = new Map<string, number>();

  return {
    async run(what, doing, withinMs = longestMs) {
      const began = performance.now();
      running.set(what, began);
      const result = await within(what, doing(), withinMs);
      running.delete(what);
      over.push({ what, tookMs: performance.now() - began });
      return result;
    },
    told() {
      const now = [...running].map(([what, began]) => `${what} (for ${seconds(performance.now() - began)})`);
      const slowest = over.toSorted((a, b) => b.tookMs - a.tookMs).slice(0, slowestShown);
      const shown = slowest.map(({ what, tookMs }) => `${what} (${seconds(tookMs)})`);
      return `It was at: ${now.join(", ") || "nothing"}\nThe slowest before: ${shown.join(", ")}`;
    },
  };
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1_000).toFixed(1)} s`;
}
