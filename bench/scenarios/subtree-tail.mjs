/**
 * One reader of a whole subtree (`includeChildren`) while 1,000 streams below it are appended to at a fixed rate: from
 * the moment an append was due to the arrival of its event. Beside it the same rate to one stream with one reader of
 * that stream, on the same server: the appends cost the same there, so the difference is what following many streams on
 * one connection costs. An echo could not be followed at all.
 */
import { streamNames } from "../lib/appends.mjs";
import { highestRate } from "../lib/highest-rate.mjs";
import { runJob, startWorker } from "../lib/jobs.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const count = 1_000;
const perSecond = 5_000;
const connections = 32;
const p99Ms = 20;
const patienceMs = 10_000;
const rates = { lowest: 1_250, highest: 20_000 };

export const subtreeTail = {
  name: "subtree-tail",
  what: "one reader of a subtree of 1,000 streams at 5,000 appends/s: p50, p99, and the highest rate with p99 under 20 ms",
  async run(tools) {
    const millrace = await tools.startMillrace();
    const subtree = {
      name: "subtree",
      streams: streamNames("tree", count).map(below),
      path: "bench?includeChildren=true",
    };
    const single = { name: "one stream", streams: ["single/stream"], path: "single/stream?" };
    tools.progress(`making ${count.toLocaleString("en")} streams`);
    for (const followed of [subtree, single]) await follow(millrace, followed);

    const windowMs = tools.quick ? 2_000 : 5_000;
    for (const followed of [subtree, single]) await measure(millrace, followed, perSecond, tools.warmupMs);
    const plan = { rounds: tools.rounds, contenders: [subtree, single], nameOf: ({ name }) => name };
    const [tree, one] = await interleave({ ...plan, progress: tools.progress }, (followed) =>
      measure(millrace, followed, perSecond, windowMs),
    );
    const highest = await highestRate({
      ...rates,
      p99Ms,
      progress: tools.progress,
      measure: (rate) => measure(millrace, subtree, rate, tools.quick ? 1_500 : 3_000),
    });
    return { rows: rowsOf(tree, one, highest), raw: { subtree: tree, oneStream: one, tried: highest.tried } };
  },
};

/** Streams of one directory have one parent; a level more is what a real tree has. */
function below(stream, index) {
  return stream.replace("/tree-", `/group-${index % 10}/`);
}

async function follow(millrace, followed) {
  await millrace.prepare(followed.streams);
  followed.worker = startWorker("sse-readers.mjs");
  const paths = [`${millrace.pathPrefix}${followed.path}&live=true&afterOffset=end`];
  await followed.worker.ask({ action: "connect", port: millrace.port, paths, readers: 1 });
}

async function measure({ port, pathPrefix }, { streams, worker }, rate, durationMs) {
  await worker.ask({ action: "reset" });
  const job = { port, pathPrefix, streams, connections, perSecond: rate, durationMs, timeoutMs: durationMs };
  const written = await runJob("scheduled-writer.mjs", job);
  const behind = written.sent - (await worker.ask({ action: "delivered" }));
  const read = await worker.ask({ action: "report", expected: written.sent, patienceMs, timeoutMs: patienceMs });
  const answeredWell = Object.keys(written.errors).length === 0 && written.answered === written.sent;
  const complete = answeredWell && read.delivered === written.sent && read.closed === 0 && read.wrongStatus === 0;
  const achievedPerSecond = (written.sent / written.milliseconds) * 1000;
  return { perSecond: rate, ...read, behind, complete, achievedPerSecond, written };
}

function rowsOf(tree, one, highest) {
  for (const result of [...tree, ...one]) {
    if (!result.complete) throw new Error(`not every event reached its reader: ${JSON.stringify(result)}`);
  }
  const compare = (what, of, target) => {
    const [value, peerValue] = [tree, one].map((results) => median(results.map(of)));
    return row({ what, value, unit: "ms", peer: "one stream, one reader", peerValue, target });
  };
  const rate = `${perSecond.toLocaleString("en")} appends/s`;
  const answers = median(tree.map((result) => result.written.latency.p99));
  const behind = Math.max(...tree.map((result) => result.behind));
  return [
    compare(`p50 at ${rate}`, (result) => result.latency.p50),
    compare(`p99 at ${rate}`, (result) => result.latency.p99, { atMost: p99Ms }),
    row({
      what: "events behind at the end",
      value: behind,
      unit: "",
      target: { atMost: 0 },
      note: `the most of all rounds; p99 of the appends' own answers ${answers} ms`,
    }),
    row({ what: `highest rate, p99 < ${p99Ms} ms`, value: highest.rate, unit: "/s", target: { atLeast: perSecond } }),
  ];
}
