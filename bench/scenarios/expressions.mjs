/**
 * What it costs to evaluate expressions in processes that can be ended, beside the same library on the thread of whoever
 * asks: a filter and a transform over an event of 330 bytes.
 */
import { runJob } from "../lib/jobs.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

/** 0 callers stand for the library itself. */
const contenders = [100, 1, 0];

export const expressions = {
  name: "expressions",
  what: "a filter and a transform in JSONata: evaluations/s with 100 callers and with 1, beside the library in process",
  async run({ main, rounds, warmupMs, windowMs, progress }) {
    const nameOf = (callers) => (callers === 0 ? "in process" : `${callers} callers`);
    const results = await interleave({ rounds, contenders, nameOf, progress }, (callers) =>
      runJob("expressions-process.mjs", { main, callers, warmupMs, windowMs }),
    );
    return { rows: rowsOf(results), raw: { contenders, results } };
  },
};

function rowsOf([many, one, library]) {
  const rate = (results) => median(results.map(({ perSecond }) => perSecond));
  const quantile = (results, name) => median(results.map(({ latency }) => latency[name]));
  const beside = { peer: "jsonata in process", peerValue: rate(library) };
  return [
    row({ what: "100 callers", value: rate(many), unit: "/s", ...beside, target: { atLeast: 20_000 } }),
    row({ what: "p99, 100 callers", value: quantile(many, "p99"), unit: "ms" }),
    row({ what: "1 caller", value: rate(one), unit: "/s", ...beside }),
    row({ what: "p50, 1 caller", value: quantile(one, "p50"), unit: "ms", target: { atMost: 0.3 } }),
    row({ what: "p99, 1 caller", value: quantile(one, "p99"), unit: "ms" }),
  ];
}
