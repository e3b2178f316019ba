/**
 * A processor that runs somewhere else and pulls: from an append to what its hook appends, at a reader beside it; many
 * streams over one connection; history that has to be folded first. Beside the hop stands one append by itself: a hop is
 * two of them and two deliveries.
 */
import { runJob } from "../lib/jobs.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const target = { atMost: 2 };

export const processorPull = {
  name: "processor-pull",
  what: "a processor that pulls: hop to its own event at a reader, 1,000 streams on one connection, folding history",
  async run(tools) {
    const millrace = await tools.startMillrace();
    const sizes = tools.quick
      ? { hop: 300, streams: 200, fold: 20_000 }
      : { hop: 1_500, streams: 1_000, fold: 200_000 };
    const plan = { rounds: tools.quick ? 1 : 3, contenders: Object.keys(sizes), progress: tools.progress };
    const [hop, streams, fold] = await interleave({ ...plan, nameOf: (name) => name }, (action, round) =>
      runJob("processor-process.mjs", {
        action,
        port: millrace.port,
        root: `/bench/${action}-${round}`,
        count: sizes[action],
        timeoutMs: 120_000,
      }),
    );
    const of = (results, what) => median(results.map(what));
    const rows = [
      row({
        what: "hop p50",
        value: of(hop, ({ latency }) => latency.p50),
        unit: "ms",
        peer: "one append",
        peerValue: of(hop, ({ plain }) => plain.p50),
        target,
      }),
      row({
        what: "hop p99",
        value: of(hop, ({ latency }) => latency.p99),
        unit: "ms",
        peer: "one append",
        peerValue: of(hop, ({ plain }) => plain.p99),
      }),
      row({ what: `${sizes.streams} streams: ready`, value: of(streams, ({ readyMs }) => readyMs), unit: "ms" }),
      row({ what: `${sizes.streams} streams: hops`, value: of(streams, ({ perSecond }) => perSecond), unit: "/s" }),
      row({ what: `${sizes.streams} streams: memory`, value: of(streams, ({ rss }) => rss / 1e6), unit: "MB" }),
      row({
        what: "history folded over HTTP",
        value: of(fold, ({ perSecond }) => perSecond),
        unit: "/s",
        peer: "reduce alone",
        peerValue: of(fold, ({ reducesPerSecond }) => reducesPerSecond),
      }),
    ];
    return { rows, raw: { hop, streams, fold } };
  },
};
