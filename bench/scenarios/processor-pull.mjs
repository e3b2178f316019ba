/**
 * A processor that runs somewhere else and pulls: from an append to what its hook appends, at a reader beside it; many
 * streams over one connection.
 *
 * The hop is all that whoever appends can see: it begins before the request of the append is made, and ends when the
 * reader has given out the hook's own event and the append is answered. Two appends are in it, each on disk, and two
 * deliveries. Writer, processor and reader are one process with one thread, as on a laptop. The client goes over
 * `httpTransport` of `@millrace/sdk/node`, as `millrace run` does; the rows say what it is over `fetch`. Beside it stands
 * the same hop written by hand (bare-hop.mjs): what is left of it is the runtime's keys, cursor, state and attempts.
 */
import { runJob } from "../lib/jobs.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const target = { atMost: 2 };

export const processorPull = {
  name: "processor-pull",
  what: "a processor that pulls: hop to its own event at a reader, and 1,000 streams on one connection",
  async run(tools) {
    const millrace = await tools.startMillrace();
    const hops = tools.quick ? 300 : 1_500;
    const sizes = {
      hop: hops,
      bareHop: hops,
      fetchHop: hops,
      streams: tools.quick ? 200 : 1_000,
    };
    const plan = { rounds: tools.quick ? 1 : 3, contenders: Object.keys(sizes), progress: tools.progress };
    const [hop, bareHop, fetchHop, streams] = await interleave({ ...plan, nameOf: (name) => name }, (action, round) =>
      runJob("processor-process.mjs", {
        action,
        port: millrace.port,
        root: `/bench/${action}-${round}`,
        count: sizes[action],
        timeoutMs: 120_000,
      }),
    );
    const rows = [
      ...hopRows({ hop, bareHop, fetchHop }),
      row({ what: `${sizes.streams} streams: ready`, value: of(streams, ({ readyMs }) => readyMs), unit: "ms" }),
      row({
        what: `${sizes.streams} streams: first hops`,
        value: of(streams, ({ first }) => first),
        unit: "/s",
      }),
      row({ what: `${sizes.streams} streams: next hops`, value: of(streams, ({ next }) => next), unit: "/s" }),
      row({ what: `${sizes.streams} streams: memory`, value: of(streams, ({ rss }) => rss / 1e6), unit: "MB" }),
    ];
    return { rows, raw: { hop, bareHop, fetchHop, streams } };
  },
};

const of = (results, what) => median(results.map(what));

function hopRows({ hop, bareHop, fetchHop }) {
  const peer = "by hand";
  const beside = (what, figure, more = {}) =>
    row({ what, value: of(hop, figure), unit: "ms", peer, peerValue: of(bareHop, figure), ...more });
  return [
    beside("hop p50", ({ latency }) => latency.p50, { target }),
    beside("hop p99", ({ latency }) => latency.p99),
    beside("one append of it p50", ({ plain }) => plain.p50),
    beside("CPU of a hop here", ({ cpuMs }) => cpuMs),
    row({
      what: "hop p50 over fetch",
      value: of(fetchHop, ({ latency }) => latency.p50),
      unit: "ms",
      peer,
      peerValue: of(bareHop, ({ latency }) => latency.p50),
    }),
  ];
}
