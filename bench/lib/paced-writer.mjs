/**
 * A process: appends at a steady rate whatever the answers take (an open loop). Each event carries in `n` the time at
 * which its POST was written, in microseconds of the system's monotonic clock, which readers in another process share.
 */
import { eventJson, postHead } from "./events.mjs";
import { createHistogram } from "./histogram.mjs";
import { openHttp } from "./http-connection.mjs";
import { serveJobs } from "./jobs.mjs";
import { monotonicMicroseconds } from "./monotonic.mjs";

const connectionsMax = 256;
const lastAnswersMs = 5_000;

serveJobs(write);

/** @param {{port: number, path: string, perSecond: number, durationMs: number}} job */
async function write({ port, path, perSecond, durationMs }) {
  const pool = createPool(port);
  const total = Math.round((perSecond * durationMs) / 1000);
  const startedAt = performance.now();
  let sent = 0;
  await new Promise((resolve, reject) => {
    function tick() {
      const elapsed = performance.now() - startedAt;
      const due = Math.min(total, Math.floor((elapsed * perSecond) / 1000) + 1);
      for (; sent < due; sent++) pool.post(path).catch(reject);
      if (sent < total) setTimeout(tick, 1);
      else resolve();
    }
    tick();
  });
  await pool.idle(lastAnswersMs);
  const milliseconds = performance.now() - startedAt;
  return { sent, answered: pool.answered, errors: pool.errors, milliseconds, latency: pool.latency.summary() };
}

/** As many connections as answers are outstanding; beyond the limit a POST waits, and its clock starts when it is written. */
function createPool(port) {
  const free = [];
  const waiting = [];
  const pool = { answered: 0, errors: {}, latency: createHistogram(), open: 0, busy: 0, post, idle };

  async function post(path) {
    pool.busy++;
    const connection = free.pop() ?? (pool.open < connectionsMax ? await connect() : null);
    if (connection === null) waiting.push(path);
    else write(connection, path);
  }

  function write(connection, path) {
    connection.sentAt = monotonicMicroseconds();
    const body = eventJson(connection.sentAt);
    connection.send(postHead(port, path, body.length) + body);
  }

  async function connect() {
    pool.open++;
    const connection = { sentAt: 0, send: null };
    const onEnd = (status) => {
      pool.answered++;
      pool.busy--;
      pool.latency.record(monotonicMicroseconds() - connection.sentAt);
      if (status !== 200) pool.errors[status] = (pool.errors[status] ?? 0) + 1;
      if (waiting.length > 0) write(connection, waiting.shift());
      else free.push(connection);
    };
    const onClose = () => {
      if (free.includes(connection)) free.splice(free.indexOf(connection), 1);
    };
    connection.send = (await openHttp(port, { onEnd, onClose })).send;
    return connection;
  }

  async function idle(timeoutMs) {
    const deadline = performance.now() + timeoutMs;
    while (pool.busy > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return pool;
}
