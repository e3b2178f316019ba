/**
 * What an append costs on a stream with consumers that are there for other types of events: nothing, if possible.
 * In process over the memory log, where nothing else costs anything, and over HTTP with SQLite, where it counts.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { appends, refuseErrors } from "../lib/appends.mjs";
import { startIdleConsumers } from "../lib/contenders.mjs";
import { untilAtRest } from "../lib/idle-consumers.mjs";
import { runJob } from "../lib/jobs.mjs";
import { cpuSecondsOf } from "../lib/machine.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const counts = [0, 10, 100];
const target = { ratioAtMost: 1.2 };

export const idleConsumers = {
  name: "idle-consumers",
  what: "an append to a stream with 0, 10 and 100 consumers that ask for other types: time and CPU of each",
  async run(tools) {
    const plan = { rounds: tools.rounds, contenders: counts, progress: tools.progress };
    const inProcess = await interleave({ ...plan, nameOf: (count) => `in process, ${count} consumers` }, (consumers) =>
      inMemory(tools, consumers),
    );
    const overHttp = await interleave(
      { ...plan, nameOf: (count) => `over HTTP, ${count} consumers` },
      (consumers, round) => overTcp(tools, consumers, round),
    );
    return {
      rows: [...rowsOf("in process", inProcess), ...rowsOf("HTTP, SQLite", overHttp)],
      raw: { inProcess, overHttp },
    };
  },
};

function inMemory({ main, quick }, consumers) {
  const count = quick ? 50_000 : 200_000;
  return runJob("engine-process.mjs", {
    measure: "idle",
    main,
    consumers,
    count,
    warmupCount: count / 4,
    timeoutMs: 60_000,
  });
}

async function overTcp({ main, directory, warmupMs, windowMs }, consumers, round) {
  const data = join(directory, `${consumers}-${round}`);
  mkdirSync(data);
  const server = await startIdleConsumers(main, data, consumers);
  const streams = ["bench/idle"];
  await server.prepare(streams);
  await appends(server, { streams, connections: 32, warmupMs, windowMs: 100 });
  await untilAtRest();
  const before = cpuSecondsOf(server.pid);
  const startedAt = performance.now();
  const result = await appends(server, { streams, connections: 32, warmupMs: 0, windowMs });
  refuseErrors(result);
  // What the load process takes to start is outside of the window, and costs the server nothing.
  const cpuMicroseconds = ((cpuSecondsOf(server.pid) - before) * 1e6) / (result.perSecond * (windowMs / 1_000));
  await server.stop();
  return { perSecond: result.perSecond, cpuMicroseconds, result, milliseconds: performance.now() - startedAt };
}

function rowsOf(where, [none, ten, hundred]) {
  const of = (results, what) => median(results.map(what));
  const time = (result) => 1e6 / result.perSecond;
  const cpu = (result) => result.cpuMicroseconds;
  const beside = (what, results, measured, bound) =>
    row({
      what: `${where}: ${what}`,
      value: of(results, measured),
      unit: "us",
      peer: "0 consumers",
      peerValue: of(none, measured),
      ...(bound === undefined ? {} : { target: bound }),
    });
  return [
    beside("time, 10 consumers", ten, time),
    beside("time, 100 consumers", hundred, time, target),
    beside("CPU, 100 consumers", hundred, cpu, target),
  ];
}
