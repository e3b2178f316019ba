/**
 * Many deployed processors in one project: what they take of memory, what an endless loop does to its neighbours, and
 * what their work costs a stream that has none.
 *
 * Memory is what the server has resident, and of the sandbox processes what is theirs alone with their share of the
 * rest, once each processor has acted. A loop lasts from the write of the event that begins it to the event that says
 * that it was stopped, at a reader; a gap is the time between two pongs of one neighbour.
 */
import { join } from "node:path";
import { appends, refuseErrors } from "../lib/appends.mjs";
import { runJob } from "../lib/jobs.mjs";
import { memoryOf, sandboxMemoryOf } from "../lib/machine.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const of = (results, what) => median(results.map(what));

export const sandboxMemory = {
  name: "sandbox-memory",
  what: "memory of 1, 100 and 1,000 processors with different code, and of 1,000 streams with one code",
  async run(tools) {
    const many = tools.quick ? 300 : 1_000;
    const cases = { 1: [1, 1], 100: [100, 100], many: [many, many], shared: [many, 1] };
    const raw = {};
    for (const [name, [count, codes]] of Object.entries(cases)) {
      tools.progress(`${count} streams, ${codes} codes`);
      const server = await tools.startMillrace(join(tools.directory, name));
      const before = memoryOf(server.pid).now;
      const job = { action: "spread", port: server.port, root: "/bench/spread", count, codes, timeoutMs: 180_000 };
      const { milliseconds } = await runJob("sandbox-process.mjs", job);
      const { processes, megabytes } = sandboxMemoryOf(server.pid);
      raw[name] = { before, server: memoryOf(server.pid).now, sandbox: megabytes, processes, milliseconds };
      await server.stop();
    }
    const memory = (what, name, more) => {
      const { before, server, sandbox, processes, milliseconds } = raw[name];
      const each = `${server.toFixed(0)} in the server (${before.toFixed(0)} before), ${sandbox.toFixed(0)} in the sandbox (${processes} process), all had acted after ${(milliseconds / 1_000).toFixed(1)} s`;
      return row({ what, value: server + sandbox, unit: "MB", note: each, ...more });
    };
    const rows = [
      memory("1 processor", "1"),
      memory("100 codes", "100"),
      memory(`${many} codes`, "many"),
      memory(`${many} streams, one code`, "shared", { target: { atMost: 400 } }),
    ];
    return { rows, raw };
  },
};

export const sandboxRunaway = {
  name: "sandbox-runaway",
  what: "an endless loop beside 50 neighbours: until an event says so, and the longest gap of a neighbour",
  async run(tools) {
    const neighbours = 50;
    const perSecond = tools.quick ? 100 : 200;
    const raw = [];
    for (let round = 0; round < (tools.quick ? 1 : 5); round++) {
      tools.progress(`round ${round + 1}`);
      const server = await tools.startMillrace(join(tools.directory, String(round)));
      const root = "/bench/neighbours";
      const ask = (job) => runJob("sandbox-process.mjs", { port: server.port, root, timeoutMs: 120_000, ...job });
      await ask({ action: "spread", count: neighbours, codes: neighbours });
      const timing = { beforeMs: 3_000, behindMs: 3_000 };
      const told = await ask({ action: "gaps", count: neighbours, perSecond, ...timing });
      if (told.answered !== told.sent)
        throw new Error(`${told.answered} of ${told.sent} pings of neighbours were answered`);
      raw.push(told);
      await server.stop();
    }
    const gap = (what, figure, target) =>
      row({
        what,
        value: of(raw, ({ longest }) => figure(longest)) / 1_000,
        unit: "s",
        peer: "before the loop",
        peerValue: of(raw, ({ quiet }) => figure(quiet)) / 1_000,
        ...target,
      });
    const rows = [
      row({
        what: "told after",
        value: of(raw, ({ milliseconds }) => milliseconds) / 1_000,
        unit: "s",
        target: { atMost: 3 },
      }),
      gap("longest gap of any neighbour", ({ max }) => max, { target: { atMost: 2 } }),
      gap("longest gap of a neighbour, p50", ({ p50 }) => p50),
    ];
    return { rows, raw };
  },
};

export const sandboxNeighbours = {
  name: "sandbox-neighbours",
  what: "appends to a stream without processors while 100 processors act, one event a second each",
  async run(tools) {
    const count = 100;
    const server = await tools.startMillrace();
    const root = "/bench/working";
    const ask = (job) => runJob("sandbox-process.mjs", { port: server.port, root, timeoutMs: 120_000, ...job });
    await server.prepare(["bench/plain"]);
    await ask({ action: "spread", count, codes: count });
    const { warmupMs, windowMs } = tools;
    const append = async () => {
      const result = await appends(server, { streams: ["bench/plain"], connections: 32, warmupMs, windowMs });
      refuseErrors(result);
      return result;
    };
    const measures = {
      idle: append,
      async working() {
        const durationMs = warmupMs + windowMs + 500;
        const working = ask({ action: "pings", count, perSecond: count, durationMs });
        const result = await append();
        return { ...result, work: await working };
      },
    };
    const plan = { rounds: tools.rounds, contenders: Object.keys(measures), progress: tools.progress };
    const [idle, working] = await interleave({ ...plan, nameOf: (name) => name }, (name) => measures[name]());
    const rate = ({ perSecond }) => perSecond;
    const rows = [
      row({ what: "appends", value: of(working, rate), unit: "/s", peer: "none act", peerValue: of(idle, rate) }),
      row({ what: "hop p50 meanwhile", value: of(working, ({ work }) => work.latency.p50), unit: "ms" }),
    ];
    return { rows, raw: { idle, working } };
  },
};
