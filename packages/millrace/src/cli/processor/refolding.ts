/** Cursors for the next version of a processor that is being written: it goes on there, and folds its state itself. */
import type { Cursors } from "@millrace/sdk/processor";

export function refolding(cursors: Cursors): Cursors {
  return {
    ...cursors,
    async load(path, signal) {
      const stored = await cursors.load(path, signal);
      if (stored === undefined) return undefined;
      const { snapshot: _, ...rest } = stored;
      return rest;
    },
  };
}
