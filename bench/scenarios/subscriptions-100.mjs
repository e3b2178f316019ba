/**
 * What an append costs on a stream with 0, 10 and 100 webhook subscriptions: those whose filter is false for the event
 * (an evaluation for each of them), and those that deliver it. The rate is the same for all and low enough that nothing
 * piles up; CPU is counted until the last subscription is done with the last event, and that is on disk.
 */
import { runJob, startWorker } from "../lib/jobs.mjs";
import { cpuMicrosecondsOf } from "../lib/machine.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";
import { falseFilter, subscribe, untilNothingIsLeft, webhooksToThisMachine } from "../lib/subscriptions.mjs";

const perSecond = 20;
const patienceMs = 20_000;
/** How far subscriptions have come is on disk after a second. It belongs to this measurement, not to the next. */
const progressSavedMs = 1_200;
const shapes = [
  { name: "none", subscriptions: 0 },
  { name: "10 false", subscriptions: 10, jsonataFilter: falseFilter },
  { name: "100 false", subscriptions: 100, jsonataFilter: falseFilter },
  { name: "10 delivering", subscriptions: 10 },
  { name: "100 delivering", subscriptions: 100 },
];

export const subscriptions100 = {
  name: "subscriptions-100",
  what: "an append to a stream with 0, 10 and 100 webhook subscriptions, with false filters and delivering: time, CPU",
  async run(tools) {
    const millrace = await tools.startMillrace(undefined, webhooksToThisMachine);
    const hooks = startWorker("webhook-receivers.mjs");
    const contenders = [];
    for (const [index, shape] of shapes.entries()) {
      const stream = `bench/shape-${index}`;
      await millrace.prepare([stream]);
      const receivers = await hooks.ask({ action: "listen", receivers: shape.subscriptions });
      if (receivers.length > 0) await subscribe(millrace.port, stream, receivers, shape);
      contenders.push({ ...shape, stream, hooks, millrace });
    }
    const durationMs = tools.quick ? 500 : 1_500;
    const restMs = tools.quick ? 0 : progressSavedMs;
    tools.progress("warming up");
    for (const contender of contenders) await measure(contender, durationMs, 0);
    const rounds = tools.quick ? 1 : 3;
    const plan = { rounds, contenders, nameOf: ({ name }) => name, progress: tools.progress };
    const results = await interleave(plan, (contender) => measure(contender, durationMs, restMs));
    return { rows: rowsOf(results), raw: { shapes, results } };
  },
};

async function measure({ millrace, hooks, stream, subscriptions, jsonataFilter }, durationMs, restMs) {
  const { port, pathPrefix, pid } = millrace;
  await hooks.ask({ action: "reset" });
  const before = cpuMicrosecondsOf(pid);
  const job = { port, pathPrefix, streams: [stream], connections: 8, perSecond, durationMs, timeoutMs: durationMs };
  const { sent, errors, latency } = await runJob("scheduled-writer.mjs", job);
  if (Object.keys(errors).length > 0) throw new Error(`appends were answered ${JSON.stringify(errors)}`);
  const expected = jsonataFilter === undefined ? sent * subscriptions : 0;
  const read = await hooks.ask({ action: "report", expected, patienceMs, timeoutMs: patienceMs });
  if (read.delivered !== expected) throw new Error(`${read.delivered} of ${expected} events reached a receiver`);
  await untilNothingIsLeft(port, stream, patienceMs);
  await new Promise((resolve) => setTimeout(resolve, restMs));
  const after = cpuMicrosecondsOf(pid);
  return {
    latency,
    received: read.latency,
    cpuMicroseconds: (after.own - before.own) / sent,
    childrenMicroseconds: (after.children - before.children) / sent,
  };
}

function rowsOf([none, ...others]) {
  const of = (results, what) => median(results.map(what));
  return others.flatMap((results, index) => {
    const { name } = shapes[index + 1];
    const beside = (what, unit, measured, note) =>
      row({
        what: `${name}: ${what}`,
        value: of(results, measured),
        unit,
        peer: "no subscription",
        peerValue: of(none, measured),
        note,
      });
    const cpu = (measured) => measured.cpuMicroseconds;
    const each = Math.round((of(results, cpu) - of(none, cpu)) / shapes[index + 1].subscriptions);
    const children = Math.round(of(results, (result) => result.childrenMicroseconds));
    const note = `${name}: ${each} us of CPU for each subscription, ${children} us in the processes for expressions`;
    return [
      beside("p50 of the answer", "ms", (result) => result.latency.p50),
      beside("CPU of the server", "us", cpu, note),
    ];
  });
}
