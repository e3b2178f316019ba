/**
 * Webhooks: how many events a second reach their receivers when a backlog waits, and how long it takes from the append
 * of an event to its receiver at a modest rate. Beside them what the server's HTTP client reaches by itself against the
 * same receivers, with as many connections and one request at a time on each.
 */
import { streamNames } from "../lib/appends.mjs";
import { eventJson, firstCounter } from "../lib/events.mjs";
import { runJob, startWorker } from "../lib/jobs.mjs";
import { cpuMicrosecondsOf } from "../lib/machine.mjs";
import { appendBatch } from "../lib/millrace-client.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";
import { subscribe, webhooksToThisMachine } from "../lib/subscriptions.mjs";

const receivers = 100;
const patienceMs = 20_000;
const peer = "undici alone";

/** `perReceiver` events wait for each in a round; `each` says that every append is for all receivers. */
const shapes = [
  { name: "1 receiver", streams: ["bench/one"], receivers: 1, perReceiver: 2_000, perSecond: 100, each: true },
  { name: "100 receivers", streams: streamNames("hook", receivers), receivers, perReceiver: 40, perSecond: 200 },
  { name: "100 of one stream", streams: ["bench/fan"], receivers, perReceiver: 40, perSecond: 5, each: true },
];

export const deliveries = {
  name: "deliveries",
  what: "webhooks to 1 and to 100 receivers: deliveries/s of a backlog, and from the append to the receiver",
  async run(tools) {
    const millrace = await tools.startMillrace(undefined, webhooksToThisMachine);
    const hooks = startWorker("webhook-receivers.mjs");
    // One process for all rounds, as the server is: both are compiled as a program that runs is.
    const client = startWorker("webhook-client.mjs");
    const contenders = [];
    for (const shape of shapes) {
      const ports = await hooks.ask({ action: "listen", receivers: shape.receivers });
      await millrace.prepare(shape.streams);
      const share = ports.length / shape.streams.length;
      for (const [index, stream] of shape.streams.entries()) {
        await subscribe(millrace.port, stream, ports.slice(index * share, (index + 1) * share));
      }
      const common = {
        ...shape,
        perReceiver: shape.perReceiver / (tools.quick ? 4 : 1),
        ports,
        hooks,
        millrace,
        client,
      };
      contenders.push({ ...common, sender: "millrace", send: throughMillrace });
      contenders.push({ ...common, sender: peer, send: byClient });
    }
    tools.progress("warming up");
    for (const contender of contenders) await backlog(contender);
    const nameOf = ({ name, sender }) => `${name}, ${sender}`;
    const plan = { rounds: tools.quick ? 1 : 3, contenders, nameOf, progress: tools.progress };
    const rates = await interleave(plan, backlog);
    const paced = await interleave(plan, (contender) => atRate(contender, tools.quick ? 500 : 2_000));
    return { rows: shapes.flatMap((shape, index) => rowsOf(shape, index, rates, paced)), raw: { rates, paced } };
  },
};

async function backlog(contender) {
  const { hooks, perReceiver, receivers, send } = contender;
  const result = await observed(hooks, perReceiver * receivers, () => send.backlog(contender));
  return { ...result, perSecond: (result.delivered - 1) / ((result.lastAt - result.firstAt) / 1e6) };
}

function atRate(contender, durationMs) {
  const { hooks, perSecond, receivers, each, send } = contender;
  const expected = Math.round((perSecond * durationMs) / 1_000) * (each ? receivers : 1);
  return observed(hooks, expected, () => send.atRate(contender, durationMs));
}

async function observed(hooks, expected, send) {
  await hooks.ask({ action: "reset" });
  const sent = await send();
  const read = await hooks.ask({ action: "report", expected, patienceMs, timeoutMs: patienceMs });
  if (read.delivered !== expected) throw new Error(`${read.delivered} of ${expected} events reached a receiver`);
  return { ...read, cpuMicroseconds: sent.cpuMicroseconds ?? sent.cpuSince() / expected };
}

const throughMillrace = {
  async backlog({ millrace, streams, perReceiver }) {
    const cpuSince = cpuOf(millrace);
    const batch = Math.min(perReceiver, 1_000);
    for (let filled = 0; filled < perReceiver; filled += batch) {
      const fillOne = (stream) => appendBatch(millrace.port, stream, counted(batch));
      await Promise.all(streams.map(fillOne));
    }
    return { cpuSince };
  },
  async atRate({ millrace, streams, perSecond }, durationMs) {
    const cpuSince = cpuOf(millrace);
    const { port, pathPrefix } = millrace;
    const job = { port, pathPrefix, streams, connections: 16, perSecond, durationMs, timeoutMs: durationMs };
    const { errors } = await runJob("scheduled-writer.mjs", job);
    if (Object.keys(errors).length > 0) throw new Error(`appends were answered ${JSON.stringify(errors)}`);
    return { cpuSince };
  },
};

const byClient = {
  backlog: ({ client, ports, perReceiver }) => client.ask({ ports, perReceiver, timeoutMs: patienceMs }),
  atRate: ({ client, ports, perSecond, each }, durationMs) =>
    client.ask({ ports, perSecond, each, durationMs, timeoutMs: durationMs + patienceMs }),
};

function cpuOf({ pid }) {
  const before = cpuMicrosecondsOf(pid).own;
  return () => cpuMicrosecondsOf(pid).own - before;
}

function counted(events) {
  return Array.from({ length: events }, (_, index) => JSON.parse(eventJson(firstCounter + index)));
}

function rowsOf({ name, perSecond }, index, rates, paced) {
  const [backlogs, steady] = [rates, paced].map((results) => results.slice(2 * index, 2 * index + 2));
  const beside = (what, [mine, others], unit, of) =>
    row({ what: `${name}: ${what}`, value: median(mine.map(of)), unit, peer, peerValue: median(others.map(of)) });
  return [
    beside("backlog", backlogs, "/s", (result) => result.perSecond),
    beside("CPU of a delivery", backlogs, "us", (result) => result.cpuMicroseconds),
    beside(`p50 at ${perSecond} appends/s`, steady, "ms", (result) => result.latency.p50),
    beside(`p99 at ${perSecond} appends/s`, steady, "ms", (result) => result.latency.p99),
  ];
}
