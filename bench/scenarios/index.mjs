/** Every scenario, in the order of a full run: the quick ones first. */
import { appendScenarios } from "./appends.mjs";
import { catchUp, catchUpSingles } from "./catch-up.mjs";
import { disk } from "./disk.mjs";
import { liveReaders, manyReaders } from "./live-readers.mjs";
import { longStream } from "./long-stream.mjs";
import { manyStreams } from "./many-streams.mjs";
import { opening } from "./opening.mjs";

/** @type {{name: string, what: string, run: (tools: any) => Promise<{rows: object[], raw: unknown}>}[]} */
export const scenarios = [
  ...appendScenarios,
  catchUp,
  catchUpSingles,
  liveReaders,
  manyReaders,
  longStream,
  disk,
  manyStreams,
  opening,
];
