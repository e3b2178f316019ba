/** A process that deploys code to a server, appends what it acts on, and waits for what it appends, at a reader beside it. */
import { Agent } from "node:http";
import { append, follow } from "./by-hand.mjs";
import { breakerOff, configured, haltedType, pingPong } from "./deployed.mjs";
import { createHistogram } from "./histogram.mjs";
import { serveJobs } from "./jobs.mjs";

const batch = 1_000;
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const actions = { hop, reduce, start, spread, gaps, pings };
let server = "";

serveJobs(({ action, port, ...job }) => {
  server = `http://127.0.0.1:${port}/api/streams`;
  return actions[action](job);
});

const post = (path, event) => append(agent, `${server}${path}`, event);

/** One after the other: a ping, and the pong of the hook. */
async function hop({ path, count }) {
  await post(path, [breakerOff, configured(pingPong())]);
  const there = arrivals();
  const reading = await follow(`${server}${path}?format=sse&live=true&afterOffset=end`, ({ type }) => there.tell(type));
  const [whole, behind, plain] = [createHistogram(), createHistogram(), createHistogram()];
  const warmup = Math.ceil(count / 5);
  for (let n = 0; n < count + warmup; n++) {
    const [ping, pong] = [there.next("ping"), there.next("pong")];
    const began = performance.now();
    const answered = post(path, { type: "ping", payload: { n } }).then(() => performance.now());
    const [answeredAt, pingAt, pongAt] = await Promise.all([answered, ping, pong]);
    if (n < warmup) continue;
    whole.record((pongAt - began) * 1_000);
    behind.record((pongAt - pingAt) * 1_000);
    plain.record((answeredAt - began) * 1_000);
  }
  reading.destroy();
  return { hop: whole.summary(), behind: behind.summary(), plain: plain.summary() };
}

/** History that is there before the code: from the write of its configuration to what its hook appends over the state. */
async function reduce({ path, count }) {
  await post(path, breakerOff);
  const message = (n) => ({ type: "message-added", payload: { role: "user", content: "x".repeat(80), n } });
  for (let first = 0; first < count; first += batch) {
    await post(
      path,
      Array.from({ length: Math.min(batch, count - first) }, (_, n) => message(first + n)),
    );
  }
  return deploy(path, pingPong());
}

/** Each of them is a new stream. */
async function start({ path, script }) {
  await post(path, breakerOff);
  return deploy(path, script ?? pingPong());
}

/** Milliseconds from the write of the configuration to the first pong at a reader. */
async function deploy(path, script) {
  const there = arrivals();
  const url = `${server}${path}?format=sse&live=true&afterOffset=end&type=pong`;
  const reading = await follow(url, ({ type }) => there.tell(type));
  const pong = there.next("pong");
  const began = performance.now();
  const answered = post(path, [configured(script), { type: "ping", payload: {} }]);
  const milliseconds = (await pong) - began;
  await answered;
  reading.destroy();
  return { milliseconds };
}

/** Processors on so many streams, of so many different codes; resolves when each has acted once. */
async function spread({ root, first = 0, count, codes }) {
  const there = new Set();
  let all = () => {};
  const acted = new Promise((resolve) => {
    all = resolve;
  });
  const url = `${server}${root}?format=sse&live=true&afterOffset=end&type=pong&includeChildren=true`;
  const reading = await follow(url, ({ streamPath }) => {
    there.add(streamPath);
    if (there.size === count) all();
  });
  const began = performance.now();
  for (let n = first; n < first + count; n += 20) {
    const some = Array.from({ length: Math.min(20, first + count - n) }, (_, index) => n + index);
    const ping = { type: "ping", payload: {} };
    await Promise.all(
      some.map((each) => post(`${root}/${each}`, [breakerOff, configured(pingPong(each % codes)), ping])),
    );
  }
  await acted;
  const milliseconds = performance.now() - began;
  reading.destroy();
  return { milliseconds };
}

/** Pings to so many streams, one after another, at a rate; with the pongs that came. */
async function pings({ root, count, perSecond, durationMs }) {
  const working = paced(root, count, perSecond);
  await sleep(durationMs);
  return { ...(await working.stop()), latency: working.latency.summary() };
}

/**
 * A stream loops while its neighbours work, all in one process of the sandbox: how long until an event says so, and the
 * longest time without a pong for each of them.
 */
async function gaps({ root, count, perSecond, beforeMs, behindMs }) {
  const working = paced(root, count, perSecond);
  await sleep(beforeMs);
  const there = arrivals();
  const looping = `${root}-looping`;
  const url = `${server}${looping}?format=sse&live=true&afterOffset=end`;
  await post(looping, [breakerOff, configured(pingPong()), { type: "ping", payload: {} }]);
  const reading = await follow(url, ({ type }) => there.tell(type));
  await sleep(beforeMs);
  const quiet = working.longestGaps();
  const halted = there.next(haltedType);
  const began = performance.now();
  await post(looping, { type: "loop", payload: {} });
  const milliseconds = (await halted) - began;
  await sleep(behindMs);
  reading.destroy();
  const longest = working.longestGaps();
  return { milliseconds, quiet, longest, ...(await working.stop()) };
}

function paced(root, count, perSecond) {
  const latency = createHistogram();
  const last = new Map();
  let longest = new Map();
  let sent = 0;
  let answered = 0;
  const onPong = ({ streamPath, payload }) => {
    const now = performance.now();
    answered++;
    latency.record((now - payload.at) * 1_000);
    const gap = now - (last.get(streamPath) ?? now);
    last.set(streamPath, now);
    longest.set(streamPath, Math.max(gap, longest.get(streamPath) ?? 0));
  };
  const url = `${server}${root}?format=sse&live=true&afterOffset=end&type=pong&includeChildren=true`;
  const following = follow(url, onPong);
  const began = performance.now();
  const appending = new Set();
  const timer = setInterval(() => {
    const due = ((performance.now() - began) / 1_000) * perSecond;
    for (; sent < due; sent++) {
      const one = post(`${root}/${sent % count}`, { type: "ping", payload: { at: performance.now() } });
      appending.add(one);
      one.finally(() => appending.delete(one));
    }
  }, 5);
  return {
    latency,
    longestGaps() {
      const gaps = [...longest.values()].sort((a, b) => a - b);
      longest = new Map();
      return { p50: gaps[gaps.length >> 1], max: gaps.at(-1) };
    },
    async stop() {
      clearInterval(timer);
      await Promise.all(appending);
      for (let waited = 0; answered < sent && waited < 10_000; waited += 20) await sleep(20);
      (await following).destroy();
      return { sent, answered };
    },
  };
}

/** The next event of a type, with the time of its arrival. */
function arrivals() {
  const waiting = new Map();
  return {
    next: (type) => new Promise((resolve) => waiting.set(type, resolve)),
    tell(type) {
      waiting.get(type)?.(performance.now());
      waiting.delete(type);
    },
  };
}
