/**
 * From the moment a POST is written to the moment its event has arrived at each live reader (SSE), with writer, server
 * and readers in three processes: at a given rate, at the highest rate that still holds, and for 1,000 readers.
 */
import { highestRate } from "../lib/highest-rate.mjs";
import { runJob, startWorker } from "../lib/jobs.mjs";
import { memoryOf } from "../lib/machine.mjs";
import { median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const stream = "bench/live";
const path = `/api/streams/${stream}`;
const p99Ms = 20;
const highestRateTried = 12_800;

export const liveReaders = {
  name: "live-100",
  what: "append to SSE with 100 readers: p99 at 100 appends/s, and the highest rate with p99 under 20 ms",
  async run(tools) {
    const live = await connectReaders(tools, 100);
    const steady = await rounds(tools, () => live.measure(100, tools.quick ? 2_000 : 5_000));
    const highest = await highestRate({
      lowest: 100,
      highest: highestRateTried,
      p99Ms,
      progress: tools.progress,
      measure: (rate) => live.measure(rate, tools.quick ? 1_500 : 3_000),
    });
    const p99 = median(steady.map((result) => result.latency.p99));
    const p50 = median(steady.map((result) => result.latency.p50));
    const rows = [
      row({ what: "p99 at 100 appends/s", value: p99, unit: "ms", target: { atMost: p99Ms }, note: `p50 ${p50} ms` }),
      row({ what: `highest rate, p99 < ${p99Ms} ms`, value: highest.rate, unit: "/s" }),
    ];
    return { rows, raw: { steady, tried: highest.tried } };
  },
};

export const manyReaders = {
  name: "live-1000",
  what: "append to SSE with 1,000 readers at 10 appends/s: p99, and the memory of the server",
  async run(tools) {
    const live = await connectReaders(tools, 1_000);
    const results = await rounds(tools, () => live.measure(10, tools.quick ? 3_000 : 5_000));
    const { now, peak } = memoryOf(live.pid);
    const rows = [
      row({ what: "p99 at 10 appends/s", value: median(results.map((result) => result.latency.p99)), unit: "ms" }),
      row({ what: "server memory (RSS)", value: now, unit: "MB", note: `at its peak ${Math.round(peak)} MB` }),
    ];
    return { rows, raw: { results, memory: { now, peak } } };
  },
};

async function rounds(tools, measure) {
  const results = [];
  for (let round = 1; round <= tools.rounds; round++) {
    tools.progress(`round ${round} of ${tools.rounds}`);
    const result = await measure();
    if (!result.complete) throw new Error(`not every event reached every reader: ${JSON.stringify(result)}`);
    results.push(result);
  }
  return results;
}

async function connectReaders(tools, readers) {
  const millrace = await tools.startMillrace();
  await millrace.prepare([stream]);
  const worker = startWorker("sse-readers.mjs");
  tools.progress(`connecting ${readers.toLocaleString("en")} readers`);
  const readPath = `${path}?live=true&afterOffset=end`;
  await worker.ask({ action: "connect", port: millrace.port, paths: [readPath], readers, timeoutMs: 30_000 });

  async function measure(perSecond, durationMs) {
    await worker.ask({ action: "reset" });
    const job = { port: millrace.port, path, perSecond, durationMs, timeoutMs: durationMs };
    const written = await runJob("paced-writer.mjs", job);
    const expected = written.sent * readers;
    const read = await worker.ask({ action: "report", expected, patienceMs: 10_000, timeoutMs: 10_000 });
    const answeredWell = Object.keys(written.errors).length === 0 && written.answered === written.sent;
    const complete = answeredWell && read.delivered === expected && read.closed === 0 && read.wrongStatus === 0;
    return {
      perSecond,
      ...read,
      expected,
      complete,
      achievedPerSecond: (written.sent / written.milliseconds) * 1000,
      written,
    };
  }
  await measure(100, tools.warmupMs * 2);
  return { pid: millrace.pid, measure };
}
