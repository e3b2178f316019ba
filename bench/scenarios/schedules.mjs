/**
 * 10,000 schedules over 1,000 streams, of which 1,000 are due within one second: how late their events are formed (by
 * `createdAt`, whole milliseconds), and how late they are at one reader of the whole subtree. Beside it the same rate of
 * appends by a client, with the same reader: what the disk and the delivery cost without any schedule.
 */
import { streamNames } from "../lib/appends.mjs";
import { createHistogram } from "../lib/histogram.mjs";
import { runJob, startWorker } from "../lib/jobs.mjs";
import { appendBatch, readSubtree } from "../lib/millrace-client.mjs";
import { monotonicMicroseconds } from "../lib/monotonic.mjs";
import { median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const streamCount = 1_000;
const standingPerStream = 9;
/** Before the first is due all have to be configured, on whatever machine this is. */
const leadMs = 10_000;
const p99Ms = 50;
const patienceMs = 10_000;
const atOnce = 32;
const scheduledType = "https://events.iterate.com/events/stream/append-scheduled";

export const schedules = {
  name: "schedules",
  what: "10,000 schedules over 1,000 streams, 1,000 due in one second: how late they are on disk and at a reader",
  async run(tools) {
    const millrace = await tools.startMillrace();
    const streams = streamNames("tree", streamCount).map((stream) => stream.replace("/tree-", "/beat/"));
    tools.progress(`making ${streamCount * standingPerStream} schedules that are due tomorrow`);
    await configureStanding(millrace, streams);
    const reader = startWorker("sse-readers.mjs");
    const paths = [`${millrace.pathPrefix}bench/beat?includeChildren=true&live=true&afterOffset=end`];
    await reader.ask({ action: "connect", port: millrace.port, paths, readers: 1 });
    const house = { millrace, streams, reader, progress: tools.progress };
    const raw = { spread: [], instant: [], client: [] };
    for (let round = 0; round < tools.rounds; round++) {
      raw.spread.push(await ticks(house, `spread-${round}`, 1_000 / streamCount));
      raw.client.push(await clientAppends(house));
      raw.instant.push(await ticks(house, `instant-${round}`, 0));
    }
    return { rows: rowsOf(raw), raw };
  },
};

function configureStanding({ port }, streams) {
  const at = new Date(Date.now() + 86_400_000).toISOString();
  return forAll(streams, (stream) =>
    appendBatch(
      port,
      stream,
      Array.from({ length: standingPerStream }, (_, n) => once(`standing-${n}`, at, {})),
    ),
  );
}

/** One schedule for each stream; the n-th is due so many milliseconds after the one before. */
async function ticks({ millrace, streams, reader, progress }, name, apartMs) {
  progress(`${name}: ${streams.length} schedules`);
  const { wall, monotonic } = await bothClocks();
  const first = wall + leadMs;
  const dueAt = (index) => first + Math.floor(index * apartMs);
  await forAll(streams, (stream, index) => {
    const at = dueAt(index);
    // In `n` stands when it is due by the clock of the reader.
    const payload = { round: name, due: at, n: monotonic + (at - wall) * 1_000 };
    return appendBatch(millrace.port, stream, [once("beat", new Date(at).toISOString(), payload)]);
  });
  if (Date.now() > first - 500) throw new Error(`${streams.length} schedules took longer than ${leadMs} ms`);
  await new Promise((resolve) => setTimeout(resolve, first - 250 - Date.now()));
  await reader.ask({ action: "reset" });
  const read = await received(reader, streams.length, leadMs);
  const formed = createHistogram();
  for (const { type, payload, createdAt } of await readSubtree(millrace.port, "bench/beat")) {
    if (type === "tick" && payload.round === name) formed.record((Date.parse(createdAt) - payload.due) * 1_000);
  }
  if (formed.count !== streams.length) throw new Error(`${formed.count} ticks of ${streams.length} schedules`);
  return { formed: formed.summary(), read };
}

async function clientAppends({ millrace: { port, pathPrefix }, streams, reader, progress }) {
  progress(`the same by a client: ${streams.length} appends in one second`);
  await reader.ask({ action: "reset" });
  const job = {
    port,
    pathPrefix,
    streams,
    connections: 32,
    perSecond: streams.length,
    durationMs: 1_000,
    timeoutMs: 5_000,
  };
  const written = await runJob("scheduled-writer.mjs", job);
  return { written, read: await received(reader, written.sent, 0) };
}

async function received(reader, expected, moreMs) {
  const job = { action: "report", expected, patienceMs: patienceMs + moreMs, timeoutMs: patienceMs + moreMs };
  const read = await reader.ask(job);
  if (read.delivered !== expected) throw new Error(`the reader heard of ${read.delivered} events of ${expected}`);
  return read.latency;
}

function once(slug, at, payload) {
  const append = { type: "tick", payload };
  return { type: scheduledType, payload: { slug, append, schedule: { kind: "once-at", at } } };
}

async function forAll(streams, run) {
  const waiting = streams.entries();
  const work = async () => {
    for (const [index, stream] of waiting) await run(stream, index);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

/** The moment at which the wall clock steps over to a whole millisecond, by both clocks. */
async function bothClocks() {
  const before = Date.now();
  let wall = before;
  while (wall === before) wall = Date.now();
  return { wall, monotonic: monotonicMicroseconds() };
}

function rowsOf({ spread, instant, client }) {
  const of = (results, what) => median(results.map(what));
  const quantiles = (what, results, latencyOf, more) =>
    ["p50", "p99"].map((quantile) =>
      row({
        what: `${what}: ${quantile}`,
        value: of(results, (result) => latencyOf(result)[quantile]),
        unit: "ms",
        ...more(quantile),
      }),
    );
  const target = (quantile) => (quantile === "p99" ? { target: { atMost: p99Ms } } : {});
  const beside = (quantile) => ({
    peer: "1,000 appends/s",
    peerValue: of(client, ({ read }) => read[quantile]),
    ...target(quantile),
  });
  const arrival = ({ read }) => read;
  return [
    ...quantiles("1,000 in 1 s, formed", spread, ({ formed }) => formed, target),
    ...quantiles("1,000 in 1 s, at the reader", spread, arrival, beside),
    ...quantiles("1,000 at one instant, at the reader", instant, arrival, () => ({})),
  ];
}
