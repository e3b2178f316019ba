/** Appends by a load process, against any contender: for a window of time, or a number of requests. */
import { runJob } from "./jobs.mjs";

/**
 * @param {import("./contenders.mjs").Contender} contender
 * @param {{streams?: string[], streamPrefix?: string, connections: number, batch?: number, warmupMs?: number,
 *   windowMs?: number, warmupStream?: string, warmupCount?: number, count?: number, timeoutMs?: number}} job
 */
export async function appends(contender, job) {
  const { loader, port, pathPrefix, goodStatuses, name } = contender;
  const result = await runJob(loader, { port, pathPrefix, goodStatuses, ...job });
  const wrong = Object.entries(result.errors).map(([status, count]) => `${count} x ${status}`);
  return { ...result, contender: name, eventsPerSecond: result.perSecond * (job.batch ?? 1), wrong };
}

/** Fills streams by batches of 1,000, outside any measured window. */
export async function fill(contender, streams, events) {
  const batch = 1_000;
  const count = Math.ceil(events / batch);
  const connections = Math.min(4, count, streams.length * 4);
  const result = await appends(contender, { streams, batch, count, connections, timeoutMs: 60_000 + events / 10 });
  refuseErrors(result);
  return result;
}

/** A scenario with wrong answers has no result. */
export function refuseErrors({ contender, wrong }) {
  if (wrong.length > 0) throw new Error(`${contender} gave wrong answers: ${wrong.join(", ")}`);
}

/** @param {string} prefix @param {number} count */
export function streamNames(prefix, count) {
  return Array.from({ length: count }, (_, index) => `bench/${prefix}-${index}`);
}
