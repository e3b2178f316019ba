/**
 * How fast a consumer inside the server goes along a stream, and how long it takes from an append to what its hook
 * appends. In process, over both logs: with SQLite each append of a hook waits for the disk.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { runJob } from "../lib/jobs.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const logs = ["memory", "SQLite"];
const sizes = { empty: 200_000, appending: { memory: 20_000, SQLite: 2_000 }, hop: { memory: 20_000, SQLite: 1_000 } };

export const consumerThroughput = {
  name: "consumer-throughput",
  what: "one consumer in process: events/s with an empty hook and with one that appends; from an append to the hook's own",
  async run(tools) {
    const raw = {};
    for (const measure of ["empty", "appending", "hop"]) {
      const plan = { rounds: tools.rounds, contenders: logs, progress: tools.progress };
      raw[measure] = await interleave({ ...plan, nameOf: (log) => `${measure}, ${log}` }, (log, round) =>
        measured(tools, measure, log, round),
      );
    }
    return { rows: rowsOf(raw), raw };
  },
};

function measured({ main, directory, quick }, measure, log, round) {
  const size = measure === "empty" ? sizes.empty : sizes[measure][log];
  const count = quick ? size / 4 : size;
  const job = { measure, main, count, warmupCount: count / 4, timeoutMs: 120_000 };
  if (log === "memory") return runJob("engine-process.mjs", job);
  const data = join(directory, `${measure}-${round}`);
  mkdirSync(data);
  return runJob("engine-process.mjs", { ...job, data });
}

function rowsOf({ empty, appending, hop }) {
  const rate = (what, results) =>
    logs.map((log, i) =>
      row({ what: `${what}, ${log}`, value: median(results[i].map(({ perSecond }) => perSecond)), unit: "/s" }),
    );
  const hops = logs.flatMap((log, i) =>
    ["p50", "p99"].map((quantile) =>
      row({
        what: `hop ${quantile}, ${log}`,
        value: median(hop[i].map(({ latency }) => latency[quantile])),
        unit: "ms",
      }),
    ),
  );
  return [...rate("empty hook", empty), ...rate("hook that appends", appending), ...hops];
}
