/**
 * The closed loop of the load generators: on each connection one request in flight, the next one written as soon as
 * the answer is there. Either for a window of time after a warm-up, or for a number of requests after some others.
 * It shares two cores with the server, so the path from answer to next request holds nothing that could be left out.
 */
import { createHistogram } from "./histogram.mjs";

/**
 * @typedef {{connections: number, warmupMs?: number, windowMs?: number, warmupCount?: number, count?: number}} Drive
 * @typedef {(onAnswer: (status: number) => void, onClose: (error?: Error) => void) =>
 *   Promise<{send: (request: string | Buffer) => void, close: () => void}>} Open
 * @param {Drive} job
 * @param {Open} open one connection
 * @param {(sequence: number) => string | Buffer} requestOf
 * @param {(status: number) => boolean} isGood
 */
export async function drive(job, open, requestOf, isGood) {
  const { warmupCount = 0, count = Number.POSITIVE_INFINITY } = job;
  const limit = warmupCount + count;
  const run = { sent: 0, answered: 0, recording: false, stopped: false };
  const record = createRecord(run);
  const done = withResolvers();

  async function connect() {
    let sentAt = 0;
    function onAnswer(status) {
      const now = performance.now();
      if (run.stopped) return;
      run.answered++;
      if (!isGood(status)) record.error(status);
      else if (run.recording) record.latency((now - sentAt) * 1000);
      if (run.answered === warmupCount) record.begin();
      if (run.answered === limit) done.resolve();
      else if (run.sent < limit) next(now);
    }
    function onClose(error) {
      if (!run.stopped) done.reject(error ?? new Error(`the server closed a connection after ${run.answered} answers`));
    }
    const connection = await open(onAnswer, onClose);
    function next(now) {
      sentAt = now;
      connection.send(requestOf(run.sent++));
    }
    return { start: () => run.sent < limit && next(performance.now()), close: connection.close };
  }

  const connections = await Promise.all(Array.from({ length: job.connections }, connect));
  if (job.windowMs !== undefined) startWindow(job, record, done);
  else if (warmupCount === 0) record.begin();
  for (const connection of connections) connection.start();
  try {
    await done.promise;
    return record.result();
  } finally {
    run.stopped = true;
    for (const connection of connections) connection.close();
  }
}

function startWindow({ warmupMs = 0, windowMs }, record, done) {
  setTimeout(() => {
    record.begin();
    setTimeout(() => done.resolve(), windowMs);
  }, warmupMs);
}

/** What is counted between `begin` and `result`; wrong answers count from the start. */
function createRecord(run) {
  const histogram = createHistogram();
  const errors = {};
  let startedAt = 0;
  let cpu;
  return {
    latency: histogram.record,
    error(status) {
      errors[status] = (errors[status] ?? 0) + 1;
    },
    begin() {
      run.recording = true;
      startedAt = performance.now();
      cpu = process.cpuUsage();
    },
    result() {
      const milliseconds = performance.now() - startedAt;
      const { user, system } = process.cpuUsage(cpu);
      const loadCpu = Math.round((user + system) / milliseconds / 10) / 100; // share of one core
      const perSecond = (histogram.count / milliseconds) * 1000;
      return { perSecond, milliseconds, latency: histogram.summary(), errors, loadCpu };
    },
  };
}

/** Promise.withResolvers is Node 22. */
function withResolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
