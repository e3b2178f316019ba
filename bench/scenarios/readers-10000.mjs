/**
 * As many live readers as a server takes (`readersPerProcess`), over ten streams: opening them, what each costs in
 * memory, and how long an event takes to reach all the readers of its stream. Beside it a bare node:http server that
 * holds as many responses open and writes to them. Every round has new servers, so that memory has no past.
 */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { streamNames } from "../lib/appends.mjs";
import { startSseEcho } from "../lib/contenders.mjs";
import { runJob, startWorker } from "../lib/jobs.mjs";
import { memoryOf, openFilesMax } from "../lib/machine.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const streams = streamNames("crowd", 10);
const perSecond = 10; // every stream has one event in each second, so every reader hears of something
const connections = 4;
const otherFiles = 200; // what a process has open besides its readers
const patienceMs = 20_000;
const openingMs = 120_000;

export const readers10000 = {
  name: "readers-10000",
  what: "10,000 live readers of 10 streams in one server: memory of each, opening them, p99 at 10 appends/s",
  async run(tools) {
    const readers = tools.quick ? 2_000 : 10_000;
    refuseFewFiles(readers);
    const plan = {
      rounds: tools.quick ? 1 : 3,
      contenders: [() => tools.startMillrace(mkdtempSync(join(tools.directory, "round-"))), startSseEcho],
      nameOf: (start) => (start === startSseEcho ? "echo" : "millrace"),
      progress: tools.progress,
    };
    const [millrace, echo] = await interleave(plan, async (start) => {
      const server = await start();
      try {
        return await measure(server, readers, tools.quick ? 3_000 : 10_000);
      } finally {
        await server.stop();
      }
    });
    const compare = (what, unit, of, target) => {
      const [value, peerValue] = [millrace, echo].map((results) => median(results.map(of)));
      return row({ what, value, unit, peer: "node:http SSE echo", peerValue, target });
    };
    const crowd = readers.toLocaleString("en");
    const rows = [
      compare("memory of a reader (RSS)", "kB", (result) => result.readerKilobytes),
      compare(`server with ${crowd} (RSS)`, "MB", (result) => result.memory.after.now),
      compare(`p99 at ${perSecond} appends/s`, "ms", (result) => result.latency.p99),
      compare(`opening ${crowd}`, "ms", (result) => result.openingMs),
    ];
    return { rows, raw: { readers, millrace, echo } };
  },
};

async function measure(server, readers, durationMs) {
  const { pid, port, pathPrefix } = server;
  await server.prepare(streams);
  await write(server, 2_000, 100); // compiled and grown before its memory is looked at
  const worker = startWorker("sse-readers.mjs");
  try {
    const before = memoryOf(pid);
    const paths = streams.map((stream) => `${pathPrefix}${stream}?live=true&afterOffset=end`);
    const opened = await worker.ask({ action: "connect", port, paths, readers, timeoutMs: openingMs });
    await write(server, 1_000, perSecond);
    await worker.ask({ action: "report", expected: readers, patienceMs, timeoutMs: patienceMs });
    await worker.ask({ action: "reset" });
    const written = await write(server, durationMs, perSecond);
    const expected = (written.sent * readers) / streams.length;
    const read = await worker.ask({ action: "report", expected, patienceMs, timeoutMs: patienceMs });
    const complete = read.delivered === expected && read.closed === 0 && read.wrongStatus === 0;
    if (!complete) throw new Error(`${server.name}: not every event reached every reader: ${JSON.stringify(read)}`);
    const after = memoryOf(pid);
    const readerKilobytes = ((after.now - before.now) * 1024) / readers;
    return { ...read, readerKilobytes, openingMs: opened.milliseconds, memory: { before, after }, written };
  } finally {
    await worker.stop();
  }
}

async function write({ name, port, pathPrefix }, durationMs, rate) {
  const job = { port, pathPrefix, streams, connections, perSecond: rate, durationMs, timeoutMs: durationMs };
  const written = await runJob("scheduled-writer.mjs", job);
  if (Object.keys(written.errors).length > 0 || written.answered !== written.sent) {
    throw new Error(`${name} answered appends wrongly: ${JSON.stringify(written)}`);
  }
  return written;
}

/** Server and readers are two processes, and each has an open file for every reader. */
function refuseFewFiles(readers) {
  const needed = readers + otherFiles;
  const allowed = openFilesMax();
  if (allowed >= needed) return;
  throw new Error(
    `needs ${needed} open files in a process and ${allowed} are allowed: run "ulimit -n ${needed}" before, or --quick`,
  );
}
