/**
 * A process with an engine in it and no HTTP: what consumers cost and how fast they are, measured where they run.
 * The build is that of the server that is measured; its log is in memory, or SQLite in a directory of the job.
 */
import { pathToFileURL } from "node:url";
import { eventJson, firstCounter } from "./events.mjs";
import { createHistogram } from "./histogram.mjs";
import { untilAtRest } from "./idle-consumers.mjs";
import { serveJobs } from "./jobs.mjs";

const project = "public";
const path = "/bench";
const prefix = "https://events.iterate.com/events/stream/";
const breakerOff = {
  type: `${prefix}circuit-breaker-configured`,
  payload: { burstCapacity: 0, refillRatePerMinute: 1 },
};
const batch = 1_000;

const measurements = { idle, empty: throughput, appending: throughput, hop };

serveJobs((job) => measurements[job.measure](job));

/** One caller that appends one event after another, while so many consumers are there for other types. */
async function idle({ consumers, count, warmupCount, ...job }) {
  const { engine, append } = await openEngine(job, (_, { idleKind }) => [idleKind(consumers)]);
  const appendMany = async (many) => {
    for (let n = 0; n < many; n++) await append([message(n)]);
  };
  await appendMany(warmupCount);
  await untilAtRest();
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  await appendMany(count);
  const milliseconds = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpu);
  await engine.close();
  return { perSecond: (count / milliseconds) * 1_000, cpuMicroseconds: (user + system) / count };
}

/** A consumer that begins at the start of a stream that is there already. */
async function throughput({ measure, count, warmupCount, ...job }) {
  const total = warmupCount + count;
  let seen = 0;
  let startedAt = 0;
  let finish;
  const finished = new Promise((resolve) => {
    finish = resolve;
  });
  const hook = async ({ event, append }) => {
    if (event.type !== "message-added") return;
    if (measure === "appending") await append({ type: "answered", payload: { to: event.offset } });
    seen++;
    if (seen === warmupCount) startedAt = performance.now();
    if (seen === total) finish(performance.now() - startedAt);
  };
  const { engine, append } = await openEngine(job, ({ processorKind }) => [processorKind(async () => processor(hook))]);
  for (let first = 0; first < total; first += batch) {
    await append(Array.from({ length: Math.min(batch, total - first) }, (_, n) => message(first + n)));
  }
  await append([configured("start")]);
  const milliseconds = await finished;
  await engine.close();
  return { perSecond: (count / milliseconds) * 1_000 };
}

/** From an append to the resolved append of the hook that it set in motion, one after another. */
async function hop({ count, warmupCount, ...job }) {
  let answered = () => {};
  const hook = async ({ event, append }) => {
    if (event.type !== "message-added") return;
    await append({ type: "answered", payload: { to: event.offset } });
    answered();
  };
  const { engine, append } = await openEngine(job, ({ processorKind }) => [processorKind(async () => processor(hook))]);
  await append([configured()]);
  const latency = createHistogram();
  for (let n = 0; n < warmupCount + count; n++) {
    const there = new Promise((resolve) => {
      answered = resolve;
    });
    const startedAt = performance.now();
    await append([message(n)]);
    await there;
    if (n >= warmupCount) latency.record((performance.now() - startedAt) * 1_000);
  }
  await engine.close();
  return { latency: latency.summary() };
}

async function openEngine({ main, data }, consumersOf) {
  // Of the build whose command line is `main`: packages/millrace/dist/cli/main.js
  const load = (file) => import(new URL(file, pathToFileURL(main)).href);
  const host = await load("../index.js");
  const engineModule = await load("../../../engine/dist/index.js");
  const { idleKind } = await import("./idle-consumers.mjs");
  const fail = (error) => {
    throw new Error(String(error?.message ?? error));
  };
  const engine = engineModule.createEngine({
    directory:
      data === undefined
        ? engineModule.createMemoryDirectory()
        : host.createSqliteDirectory({ directory: data, onFatal: fail }),
    clock: host.systemClock,
    random: host.systemRandom,
    consumers: consumersOf(engineModule, { idleKind }),
    onFailure: fail,
  });
  const append = (events) =>
    engine.append(
      project,
      path,
      events.map((event) => ({ event })),
      { bytes: 100 * events.length },
    );
  await append([breakerOff]);
  return { engine, append };
}

function processor(afterAppend) {
  return {
    slug: "bench",
    initialState: { events: 0 },
    reduce: ({ state }) => ({ events: state.events + 1 }),
    afterAppend,
  };
}

function configured(startFrom) {
  const payload = { slug: "bench", script: "bench", ...(startFrom === undefined ? {} : { startFrom }) };
  return { type: `${prefix}dynamic-worker/configured`, payload };
}

function message(n) {
  return JSON.parse(eventJson(firstCounter + n));
}
