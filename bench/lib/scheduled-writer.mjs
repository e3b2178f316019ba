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
async function write({ port, pathPrefix, streams, connections, perSecond, durationMs }) {
  const total = Math.round((perSecond * durationMs) / 1000);
  const paths = streams.map((stream) => pathPrefix + stream);
  const latency = createHistogram();
  const errors = {};
  const free = [];
  let written = 0;
  let answered = 0;
  let startsAt = Number.POSITIVE_INFINITY;
  const dueAt = (sequence) => startsAt + Math.floor((sequence * 1_000_000) / perSecond);

  async function connect() {
    const connection = { dueAt: 0, send: null, close: null };
    function onEnd(status) {
      answered++;
      latency.record(monotonicMicroseconds() - connection.dueAt);
      if (status !== 200) errors[status] = (errors[status] ?? 0) + 1;
      free.push(connection);
      writeWhatIsDue();
    }
    const onClose = () => {
      if (answered < total) errors.closed = (errors.closed ?? 0) + 1;
    };
    free.push(Object.assign(connection, await openHttp(port, { onEnd, onClose })));
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

  await Promise.all(Array.from({ length: connections }, connect));
  startsAt = monotonicMicroseconds() + headStartMicroseconds;
  const deadline = performance.now() + durationMs + lastAnswersMs;
  while (answered < total && performance.now() < deadline) {
    writeWhatIsDue();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const milliseconds = (monotonicMicroseconds() - startsAt) / 1000;
  for (const { close } of free) close();
  return { sent: written, answered, errors, milliseconds, latency: latency.summary() };
}
