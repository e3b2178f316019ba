/** A laptop that runs a processor: one process with its own connection, appending pings and waiting for its own pongs. */
import { createEventsClient, runProcessor } from "../../packages/sdk/dist/processor/index.js";
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

serveJobs(async ({ action, port, root, count }) => {
  const client = createEventsClient({ baseUrl: `http://127.0.0.1:${port}` });
  if (action === "hop") return hop(client, root, count);
  if (action === "streams") return streams(client, root, count);
  return fold(client, root, count);
});

/** One after the other: append, the hook's own append, and that at a reader beside it. */
async function hop(client, path, count) {
  await client.append(path, breaker);
  const run = runProcessor({ client, processor: pingPong, path });
  await run.ready;
  const pongs = client.tail(path, { types: ["pong"] });
  const latency = createHistogram();
  const plain = createHistogram();
  const warmup = Math.ceil(count / 5);
  let next = pongs.next();
  // The reader is there when the first has come.
  for (let n = 0; n < count + warmup; n++) {
    const began = performance.now();
    await client.append(path, { type: "ping", payload: { n } });
    if (n >= warmup) plain.record((performance.now() - began) * 1_000);
    await next;
    if (n >= warmup) latency.record((performance.now() - began) * 1_000);
    next = pongs.next();
  }
  await pongs.return();
  await run.stop();
  return { latency: latency.summary(), plain: plain.summary() };
}

/** A ping to each of many streams at once, over one connection. */
async function streams(client, root, count) {
  const paths = Array.from({ length: count }, (_, n) => `${root}/${n}`);
  for (let n = 0; n < count; n += 50)
    await Promise.all(paths.slice(n, n + 50).map((path) => client.append(path, breaker)));
  const run = runProcessor({ client, processor: pingPong, path: root, includeChildren: true, concurrency: 64 });
  const began = performance.now();
  await run.ready;
  const readyMs = performance.now() - began;
  const pongs = client.tail(root, { types: ["pong"], includeChildren: true });
  let next = pongs.next();
  await client.append(`${root}/0`, { type: "ping", payload: {} });
  await next;
  const sent = performance.now();
  const sending = (async () => {
    for (let n = 0; n < count; n += 50) {
      await Promise.all(paths.slice(n, n + 50).map((path) => client.append(path, { type: "ping", payload: {} })));
    }
  })();
  for (let n = 0; n < count; n++) {
    next = pongs.next();
    await next;
  }
  await sending;
  const perSecond = count / ((performance.now() - sent) / 1_000);
  const rss = process.memoryUsage().rss;
  await pongs.return();
  await run.stop();
  return { readyMs, perSecond, rss };
}

/** History that is folded before the first event is acted on. */
async function fold(client, path, count) {
  await client.append(path, breaker);
  const batch = Array.from({ length: 1_000 }, (_, n) => ({ type: "ping", payload: { n } }));
  for (let n = 0; n < count; n += 1_000) await client.append(path, batch);
  const run = runProcessor({ client, processor: pingPong, path });
  await run.ready;
  const pongs = client.tail(path, { types: ["pong"] });
  const next = pongs.next();
  const began = performance.now();
  await client.append(path, { type: "ping", payload: {} });
  await next;
  const seconds = (performance.now() - began) / 1_000;
  await pongs.return();
  const { pings } = run.state(path);
  await run.stop();
  if (pings !== count + 1) throw new Error(`${pings} pings were folded, of ${count + 1}`);
  const states = performance.now();
  let state = pingPong.initialState;
  for (let n = 0; n < 1_000_000; n++) state = pingPong.reduce({ state, event: batch[n % 1_000] });
  return { perSecond: count / seconds, reducesPerSecond: 1e9 / (performance.now() - states) };
}
