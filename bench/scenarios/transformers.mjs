/**
 * One transformer on one stream: how many events a second it rewrites while a backlog waits, and how long it takes from
 * an append to the transformed event at a live reader. Each rewritten event is a commit of its own, so beside the first
 * stands one caller who appends one by one, and the library by itself; beside the second the plain event at its reader.
 */
import { appends, refuseErrors } from "../lib/appends.mjs";
import { eventJson, firstCounter } from "../lib/events.mjs";
import { runJob, startWorker } from "../lib/jobs.mjs";
import { cpuMicrosecondsOf } from "../lib/machine.mjs";
import { append, appendBatch } from "../lib/millrace-client.mjs";
import { monotonicMicroseconds } from "../lib/monotonic.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const backlogEvents = 1_000;
const perSecond = 100;
const patienceMs = 20_000;
const rule = {
  matcher: "type = 'message-added' and payload.role = 'user'",
  transform: "{'type': 'message-rewritten', 'payload': {'text': $uppercase(payload.content), 'n': payload.n}}",
};

export const transformers = {
  name: "transformers",
  what: "one transformer: events/s that it rewrites, and from an append to the rewritten event at a live reader",
  async run(tools) {
    const millrace = await tools.startMillrace();
    const transformed = await follow(millrace, "bench/transformed", "message-rewritten", rule);
    const plain = await follow(millrace, "bench/plain", "message-added");
    await millrace.prepare(["bench/caller"]);
    const measures = {
      backlog: () => backlog(millrace, transformed, tools.quick ? backlogEvents / 4 : backlogEvents),
      oneCaller: () => oneCaller(millrace, tools),
      library: () => library(tools),
      hop: () => atRate(millrace, transformed, tools.quick ? 1_000 : 2_500),
      plainHop: () => atRate(millrace, plain, tools.quick ? 1_000 : 2_500),
    };
    const contenders = Object.keys(measures);
    tools.progress("warming up");
    for (const name of ["backlog", "hop", "plainHop"]) await measures[name]();
    const rounds = tools.quick ? 1 : 3;
    const plan = { rounds, contenders, nameOf: (name) => name, progress: tools.progress };
    const results = await interleave(plan, (name) => measures[name]());
    const raw = Object.fromEntries(contenders.map((name, index) => [name, results[index]]));
    return { rows: rowsOf(raw), raw };
  },
};

async function follow(millrace, stream, type, transformer) {
  await millrace.prepare([stream]);
  if (transformer !== undefined) {
    const configured = "https://events.iterate.com/events/stream/jsonata-transformer-configured";
    await append(millrace.port, stream, { type: configured, payload: { slug: "rewrite", ...transformer } });
  }
  const reader = startWorker("sse-readers.mjs");
  const paths = [`${millrace.pathPrefix}${stream}?type=${type}&live=true&afterOffset=end`];
  await reader.ask({ action: "connect", port: millrace.port, paths, readers: 1 });
  return { stream, reader };
}

async function backlog({ port, pid }, { stream, reader }, events) {
  await reader.ask({ action: "reset" });
  const before = cpuMicrosecondsOf(pid);
  const startedAt = monotonicMicroseconds();
  const batch = Array.from({ length: events }, (_, index) => JSON.parse(eventJson(firstCounter + index)));
  await appendBatch(port, stream, batch);
  const read = await reportOf(reader, events);
  const after = cpuMicrosecondsOf(pid);
  return {
    ...read,
    perSecond: events / ((read.lastAt - startedAt) / 1e6),
    cpuMicroseconds: (after.own - before.own) / events,
    childrenMicroseconds: (after.children - before.children) / events,
  };
}

async function oneCaller(millrace, { quick }) {
  const result = await appends(millrace, { streams: ["bench/caller"], connections: 1, ...windows(quick) });
  refuseErrors(result);
  return result;
}

function windows(quick) {
  return { warmupMs: 300, windowMs: quick ? 500 : 1_500 };
}

/** The same rule over a stored event, on a thread that does nothing else. */
function library({ main, quick }) {
  const event = JSON.parse(eventJson(firstCounter));
  const { content, n } = event.payload;
  const stored = { streamPath: "/bench/transformed", offset: 123_456, ...event, createdAt: "2026-01-01T00:00:00.000Z" };
  const expected = JSON.stringify({ type: "message-rewritten", payload: { text: content.toUpperCase(), n } });
  const example = { rule, input: JSON.stringify(stored), expected };
  return runJob("expressions-process.mjs", { main, callers: 0, example, ...windows(quick) });
}

async function atRate({ port, pathPrefix }, { stream, reader }, durationMs) {
  await reader.ask({ action: "reset" });
  const job = { port, pathPrefix, streams: [stream], connections: 8, perSecond, durationMs, timeoutMs: durationMs };
  const { sent, errors } = await runJob("scheduled-writer.mjs", job);
  if (Object.keys(errors).length > 0) throw new Error(`appends were answered ${JSON.stringify(errors)}`);
  return reportOf(reader, sent);
}

async function reportOf(reader, expected) {
  const read = await reader.ask({ action: "report", expected, patienceMs, timeoutMs: patienceMs });
  if (read.delivered !== expected) throw new Error(`${read.delivered} of ${expected} events reached the reader`);
  return read;
}

function rowsOf({ backlog: rewritten, oneCaller: caller, library: evaluated, hop, plainHop }) {
  const of = (results, what) => median(results.map(what));
  const rate = (result) => result.perSecond;
  const value = of(rewritten, rate);
  const server = Math.round(of(rewritten, (result) => result.cpuMicroseconds));
  const children = Math.round(of(rewritten, (result) => result.childrenMicroseconds));
  const note = `CPU of an event: ${server} us in the server, ${children} us in the processes for expressions`;
  const compared = (what, quantile) => {
    const peer = { peer: "plain event", peerValue: of(plainHop, quantile) };
    return row({ what, value: of(hop, quantile), unit: "ms", ...peer });
  };
  return [
    row({ what: "backlog", value, unit: "/s", peer: "one caller, appends", peerValue: of(caller, rate), note }),
    row({ what: "backlog", value, unit: "/s", peer: "jsonata in process", peerValue: of(evaluated, rate) }),
    compared(`p50 to a reader at ${perSecond}/s`, (result) => result.latency.p50),
    compared(`p99 to a reader at ${perSecond}/s`, (result) => result.latency.p99),
  ];
}
