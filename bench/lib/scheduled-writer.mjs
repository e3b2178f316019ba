/**
 * A process: appends that are due at fixed times, over streams in turn, on a fixed number of connections (an open loop).
 * Each event carries in `n` the time at which it was due, in microseconds of the clock that all processes share: when
 * the server is slow and an append has to wait for a connection, that wait counts too (no coordinated omission).
 */
import { eventJson, postHead } from "./events.mjs";
import { createHistogram } from "./histogram.mjs";
import { openHttp } from "./http-connection.mjs";
import { serveJobs } from "./jobs.mjs";
import { monotonicMicroseconds } from "./monotonic.mjs";

const headStartMicroseconds = 10_000;
const lastAnswersMs = 10_000;

serveJobs(write);

/** @param {{port: number, pathPrefix: string, streams: string[], connections: number, perSecond: number, durationMs: number}} job */
async function write(job) {
  const { connections, perSecond, durationMs } = job;
  const total = Math.round((perSecond * durationMs) / 1000);
  const writer = createWriter(job, total);
  await Promise.all(Array.from({ length: connections }, writer.connect));
  const startsAt = monotonicMicroseconds() + headStartMicroseconds;
  writer.start(startsAt);
  const deadline = performance.now() + durationMs + lastAnswersMs;
  while (writer.answered() < total && performance.now() < deadline) {
    writer.writeWhatIsDue();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return { milliseconds: (monotonicMicroseconds() - startsAt) / 1000, ...writer.result() };
}

function createWriter({ port, pathPrefix, streams, perSecond }, total) {
  const paths = streams.map((stream) => pathPrefix + stream);
  const latency = createHistogram();
  const errors = {};
  const free = [];
  let written = 0;
  let startsAt = Number.POSITIVE_INFINITY;
  const dueAt = (sequence) => startsAt + Math.floor((sequence * 1_000_000) / perSecond);
  const wrong = (what) => {
    errors[what] = (errors[what] ?? 0) + 1;
  };

  async function connect() {
    const connection = { dueAt: 0, send: null };
    function onEnd(status) {
      latency.record(monotonicMicroseconds() - connection.dueAt);
      if (status !== 200) wrong(status);
      free.push(connection);
      writeWhatIsDue();
    }
    const onClose = () => wrong("closed");
    connection.send = (await openHttp(port, { onEnd, onClose })).send;
    free.push(connection);
  }

  function writeWhatIsDue() {
    const now = monotonicMicroseconds();
    for (; free.length > 0 && written < total && dueAt(written) <= now; written++) {
      const connection = free.pop();
      connection.dueAt = dueAt(written);
      const body = eventJson(connection.dueAt);
      connection.send(postHead(port, paths[written % paths.length], body.length) + body);
    }
  }

  return {
    connect,
    writeWhatIsDue,
    start(time) {
      startsAt = time;
    },
    answered: () => latency.count,
    result: () => ({ sent: written, answered: latency.count, errors, latency: latency.summary() }),
  };
}
