/** Every scenario, in the order of a full run: the quick ones first. */
import { appendScenarios } from "./appends.mjs";
import { catchUp, catchUpSingles } from "./catch-up.mjs";
import { cliStart } from "./cli-start.mjs";
import { clientParse } from "./client-parse.mjs";
import { consumerThroughput } from "./consumer-throughput.mjs";
import { deliveries } from "./deliveries.mjs";
import { disk } from "./disk.mjs";
import { expressions } from "./expressions.mjs";
import { idleConsumers } from "./idle-consumers.mjs";
import { liveReaders, manyReaders } from "./live-readers.mjs";
import { longStream } from "./long-stream.mjs";
import { manyStreams } from "./many-streams.mjs";
import { opening } from "./opening.mjs";
import { processorPull } from "./processor-pull.mjs";
import { readers10000 } from "./readers-10000.mjs";
import { replay } from "./replay.mjs";
import { sandboxHop, sandboxStart } from "./sandbox-hop.mjs";
import { sandboxMemory, sandboxNeighbours, sandboxRunaway } from "./sandbox-load.mjs";
import { schedules } from "./schedules.mjs";
import { socketDeliveries } from "./socket-deliveries.mjs";
import { subscriptions100 } from "./subscriptions-100.mjs";
import { subtreeTail } from "./subtree-tail.mjs";
import { transformers } from "./transformers.mjs";

/** @type {{name: string, what: string, run: (tools: any) => Promise<{rows: object[], raw: unknown}>}[]} */
export const scenarios = [
  ...appendScenarios,
  catchUp,
  catchUpSingles,
  liveReaders,
  manyReaders,
  readers10000,
  subtreeTail,
  schedules,
  idleConsumers,
  consumerThroughput,
  processorPull,
  sandboxHop,
  sandboxStart,
  sandboxMemory,
  sandboxRunaway,
  sandboxNeighbours,
  replay,
  expressions,
  transformers,
  deliveries,
  socketDeliveries,
  subscriptions100,
  clientParse,
  cliStart,
  longStream,
  disk,
  manyStreams,
  opening,
];
