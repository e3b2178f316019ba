/** A laptop that runs a processor: one process with its own connection, appending pings and waiting for its own pongs. */
import { httpTransport } from "../../packages/sdk/dist/node/index.js";
import { createEventsClient, runProcessor } from "../../packages/sdk/dist/processor/index.js";
import { bareHop } from "./bare-hop.mjs";
import { createHistogram } from "./histogram.mjs";
import { serveJobs } from "./jobs.mjs";

const breaker = {
  type: "https://events.iterate.com/events/stream/circuit-breaker-configured",
  payload: { burstCapacity: 0, refillRatePerMinute: 1 },
};
const pingPong = {
  slug: "ping-pong",
  initialState: { pings: 0 },
  reduce: ({ state, event }) => (event.type === "ping" ? { pings: state.pings + 1 } : state),
  async afterAppend({ event, append }) {
    if (event.type === "ping") await append({ type: "pong", payload: event.payload });
  },
};

const warmupOf = (count) => Math.ceil(count / 5);

serveJobs(async ({ action, port, root, count }) => {
  const baseUrl = `http://127.0.0.1:${port}`;
  const client = createEventsClient({ baseUrl, transport: httpTransport });
  if (action === "hop") return hop(client, root, count);
  if (action === "fetchHop") return hop(createEventsClient({ baseUrl }), root, count);
  if (action === "bareHop") return measured(count, (recording) => bareHop({ port, path: root, breaker, ...recording }));
  return streams(client, root, count);
});

/** One after the other: append, the hook's own append, and that at a reader beside it. */
async function hop(client, path, count) {
  await client.append(path, breaker);
  const run = runProcessor({ client, processor: pingPong, path });
  await run.ready;
  const pongs = client.tail(path, { types: ["pong"] });
  const result = await measured(count, async ({ count, recordAppend, recordHop }) => {
    let next = pongs.next();
    // The reader is there when the first has come.
    for (let n = 0; n < count; n++) {
      const began = performance.now();
      await client.append(path, { type: "ping", payload: { n } });
      recordAppend(performance.now() - began);
      await next;
      recordHop(performance.now() - began);
      next = pongs.next();
    }
  });
  await pongs.return();
  await run.stop();
  return result;
}

/** What is recorded after the warm-up, and the CPU of this process for each hop, which others on the machine do not change. */
async function measured(count, perform) {
  const latency = createHistogram();
  const plain = createHistogram();
  const warmup = warmupOf(count);
  let appends = 0;
  let hops = 0;
  let cpu;
  await perform({
    count: count + warmup,
    recordAppend(milliseconds) {
      if (appends++ >= warmup) plain.record(milliseconds * 1_000);
    },
    recordHop(milliseconds) {
      if (hops++ >= warmup) latency.record(milliseconds * 1_000);
      if (hops === warmup) cpu = process.cpuUsage();
    },
  });
  const { user, system } = process.cpuUsage(cpu);
  return { latency: latency.summary(), plain: plain.summary(), cpuMs: (user + system) / 1_000 / count };
}

/** A ping to each of many streams at once, and another one, over one connection. */
async function streams(client, root, count) {
  const paths = Array.from({ length: count }, (_, n) => `${root}/${n}`);
  for (let n = 0; n < count; n += 50)
    await Promise.all(paths.slice(n, n + 50).map((path) => client.append(path, breaker)));
  const run = runProcessor({ client, processor: pingPong, path: root, includeChildren: true, concurrency: 64 });
  const began = performance.now();
  await run.ready;
  const readyMs = performance.now() - began;
  const pongs = client.tail(root, { types: ["pong"], includeChildren: true });
  const waiting = pongs.next();
  await client.append(`${root}/0`, { type: "ping", payload: {} });
  await waiting;
  // The first event of each finds that its history was not read yet.
  const first = await pingAll(client, paths, pongs);
  const next = await pingAll(client, paths, pongs);
  const rss = process.memoryUsage().rss;
  await pongs.return();
  await run.stop();
  return { readyMs, first, next, rss };
}

/** @returns hops in a second */
async function pingAll(client, paths, pongs) {
  const began = performance.now();
  const sending = (async () => {
    for (let n = 0; n < paths.length; n += 50) {
      await Promise.all(paths.slice(n, n + 50).map((path) => client.append(path, { type: "ping", payload: {} })));
    }
  })();
  for (let n = 0; n < paths.length; n++) await pongs.next();
  await sending;
  return paths.length / ((performance.now() - began) / 1_000);
}
