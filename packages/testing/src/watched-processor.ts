/** A processor whose running hooks are known, so that whoever waits for it can wait for them, and name them. */
import type { Processor } from "@millrace/protocol";
import { placeOf } from "./admit-and-reduce.ts";

export interface Watched<State> {
  processor: Processor<State>;
  /** Descriptions of the hooks that run now. */
  running: ReadonlySet<string>;
}

export function watched<State>(original: Processor<State>): Watched<State> {
  const running = new Set<string>();

  async function during(what: string, run: () => void | Promise<void>): Promise<void> {
    running.add(what);
    try {
      await run();
    } finally {
      running.delete(what);
    }
  }

  // Called as the engine calls them: hooks by themselves, the reducer on its processor.
  const { afterAppend, afterCatchUp } = original;
  const own: Pick<Processor<State>, "reduce" | "afterAppend" | "afterCatchUp"> = {
    reduce: (args) => original.reduce(args),
    ...(afterAppend && {
      afterAppend: (args) => during(`afterAppend for ${placeOf(args.event)}`, () => afterAppend(args)),
    }),
    ...(afterCatchUp && { afterCatchUp: (args) => during("afterCatchUp", () => afterCatchUp(args)) }),
  };
  // Whatever else it has, of its own or of its class, stays what it is.
  const processor: Processor<State> = Object.assign(Object.create(Object.getPrototypeOf(original)), original, own);
  return { processor, running };
}
