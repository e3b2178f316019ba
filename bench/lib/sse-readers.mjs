/**
 * A process: many live readers, spread evenly over the paths that it is given. For every event line it records the time
 * from the `n` of the event (when its POST was written, see paced-writer.mjs, or due, see scheduled-writer.mjs) to the
 * moment at which the line arrived.
 */
import { createHistogram } from "./histogram.mjs";
import { openHttp } from "./http-connection.mjs";
import { serveJobs } from "./jobs.mjs";
import { monotonicMicroseconds } from "./monotonic.mjs";

const connectAtOnce = 50;
const marker = '"n":';

const latency = createHistogram();
const state = { closed: 0, wrongStatus: 0, lastAt: 0 };
let cpu = process.cpuUsage();

const actions = {
  async connect({ port, paths, readers }) {
    const startedAt = performance.now();
    for (let done = 0; done < readers; done += connectAtOnce) {
      const some = Array.from({ length: Math.min(connectAtOnce, readers - done) }, (_, index) => done + index);
      await Promise.all(some.map((reader) => follow(port, paths[reader % paths.length])));
    }
    return { milliseconds: performance.now() - startedAt };
  },
  reset() {
    latency.reset();
    cpu = process.cpuUsage();
  },
  /** How many events have arrived by now. */
  async delivered() {
    return latency.count;
  },
  /** Waits until everything expected has arrived, or for a while. */
  async report({ expected, patienceMs }) {
    const deadline = performance.now() + patienceMs;
    while (latency.count < expected && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const { user, system } = process.cpuUsage(cpu);
    return { delivered: latency.count, latency: latency.summary(), cpuSeconds: (user + system) / 1e6, ...state };
  },
};

serveJobs((job) => actions[job.action](job));

/** Resolves with the first bytes of the body: from then on the reader is live. */
function follow(port, path) {
  return new Promise((resolve, reject) => {
    let rest = "";
    function onBody(buffer, start, end) {
      resolve();
      const text = rest + buffer.latin1Slice(start, end);
      const complete = text.lastIndexOf("\n") + 1;
      rest = text.slice(complete);
      if (complete > 0) recordLines(text, complete);
    }
    const onHead = (status) => {
      if (status !== 200) state.wrongStatus++;
    };
    const onClose = (error) => {
      state.closed++;
      reject(error ?? new Error("the server closed a reader"));
    };
    const request = `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\naccept: text/event-stream\r\n\r\n`;
    openHttp(port, { onBody, onHead, onEnd: onClose, onClose }).then(({ send }) => send(request), reject);
  });
}

function recordLines(text, complete) {
  const now = monotonicMicroseconds();
  state.lastAt = now;
  for (let at = text.indexOf(marker); at !== -1 && at < complete; at = text.indexOf(marker, at + marker.length)) {
    latency.record(now - Number.parseInt(text.slice(at + marker.length, at + marker.length + 16), 10));
  }
}
