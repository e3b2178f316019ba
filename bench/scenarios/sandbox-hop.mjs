/**
 * Deployed code beside the same processor inside the server: one hop, history that is reduced, and how soon code acts
 * that was not there before.
 *
 * The hop begins before the request of the ping is written and ends when its pong is at an SSE reader: two commits, each
 * on disk. "Behind the event" begins when the ping is at that reader, so it is on disk: the hook, its append and that
 * commit. A start begins before the request is written that brings code and a ping, and ends with the pong at a reader.
 */
import { join } from "node:path";
import { startInProcessConsumer } from "../lib/contenders.mjs";
import { pingPong } from "../lib/deployed.mjs";
import { runJob } from "../lib/jobs.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const of = (results, what) => median(results.map(what));
const inProcess = "in process";

export const sandboxHop = {
  name: "sandbox-hop",
  what: "deployed code: from an event to the appended event of its hook, and history that is reduced",
  async run(tools) {
    const contenders = await both(tools);
    const hops = tools.quick ? 300 : 1_500;
    const events = tools.quick ? 20_000 : 200_000;
    const measures = {
      hop: (round) => ({ action: "hop", path: `/bench/hop-${round}`, count: hops }),
      reduce: (round) => ({ action: "reduce", path: `/bench/reduce-${round}`, count: events, timeoutMs: 60_000 }),
      start: (round) => ({ action: "start", path: `/bench/start-${round}` }),
    };
    const raw = {};
    for (const [name, job] of Object.entries(measures)) {
      const rounds = tools.quick ? 2 : 5;
      const plan = { rounds, contenders, progress: tools.progress, nameOf: (each) => `${name}, ${each.name}` };
      raw[name] = await interleave(plan, ({ port }, round) =>
        runJob("sandbox-process.mjs", { port, timeoutMs: 60_000, ...job(round) }),
      );
    }
    return { rows: rowsOf(raw, events), raw };
  },
};

async function both(tools) {
  return [await tools.startMillrace(), await startInProcessConsumer(tools.main, join(tools.directory, "peer"))];
}

function rowsOf({ hop, reduce, start }, events) {
  const beside = (what, figure, more) =>
    row({ what, value: of(hop[0], figure), unit: "ms", peer: inProcess, peerValue: of(hop[1], figure), ...more });
  // Without what it takes to load code and to act once.
  const perSecond = (which) =>
    events /
    ((of(reduce[which], ({ milliseconds }) => milliseconds) - of(start[which], ({ milliseconds }) => milliseconds)) /
      1_000);
  return [
    beside("hop p50", ({ hop: { p50 } }) => p50, { target: { atMost: 1.5 } }),
    beside("hop p99", ({ hop: { p99 } }) => p99),
    beside("behind the event p50", ({ behind: { p50 } }) => p50, { target: { atMost: 1.5 } }),
    beside("behind the event p99", ({ behind: { p99 } }) => p99),
    beside("one append of it p50", ({ plain: { p50 } }) => p50),
    row({ what: "reduced", value: perSecond(0), unit: "/s", peer: inProcess, peerValue: perSecond(1) }),
  ];
}

export const sandboxStart = {
  name: "sandbox-start",
  what: "deployed code: from its configuration to the first event that it appends",
  async run(tools) {
    const rounds = tools.quick ? 2 : 9;
    const raw = { first: [], code: [], stream: [] };
    for (let round = 0; round < rounds; round++) {
      tools.progress(`round ${round + 1} of ${rounds}`);
      const server = await tools.startMillrace(join(tools.directory, String(round)));
      const measure = async (name, path, number) => {
        const job = { action: "start", port: server.port, path, script: pingPong(number), timeoutMs: 20_000 };
        raw[name].push((await runJob("sandbox-process.mjs", job)).milliseconds);
      };
      await measure("first", "/bench/first", 1);
      for (const number of [2, 3, 4]) await measure("code", `/bench/code-${number}`, number);
      for (const number of [2, 3, 4]) await measure("stream", `/bench/stream-${number}`, number);
      await server.stop();
    }
    const target = { atMost: 60 };
    const rows = [
      row({ what: "no sandbox ran yet", value: median(raw.first), unit: "ms", target }),
      row({ what: "code that is new", value: median(raw.code), unit: "ms", target }),
      row({ what: "code that another stream has", value: median(raw.stream), unit: "ms" }),
    ];
    return { rows, raw };
  },
};
