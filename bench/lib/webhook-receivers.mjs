/**
 * A process: receivers of webhooks, each an HTTP server on a port of its own, that say 200 to whatever comes, and peers
 * of WebSocket subscriptions that acknowledge whatever comes; both some time later, if they are told to. Of every
 * event it records the time from the `n` of its payload (when it was due) to the moment at which its body was here;
 * bodies without one (what a stream says about its subscriptions) are answered and not counted.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import { createHistogram } from "./histogram.mjs";
import { serveJobs } from "./jobs.mjs";
import { monotonicMicroseconds } from "./monotonic.mjs";

const marker = '"n":';

const latency = createHistogram();
let firstAt = 0;
let lastAt = 0;

const actions = {
  /** @returns {Promise<number[]>} the ports */
  async listen({ receivers, delayMs = 0 }) {
    return Promise.all(Array.from({ length: receivers }, () => listen(delayMs)));
  },
  /** @returns {Promise<number>} the port */
  async accept({ delayMs = 0 }) {
    return accept(delayMs);
  },
  reset() {
    latency.reset();
  },
  async delivered() {
    return latency.count;
  },
  /** Waits until everything expected has arrived, or for a while. */
  async report({ expected, patienceMs }) {
    const deadline = performance.now() + patienceMs;
    while (latency.count < expected && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return { delivered: latency.count, latency: latency.summary(), firstAt, lastAt };
  },
};

serveJobs((job) => actions[job.action](job));

function listen(delayMs) {
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    let body = "";
    request.setEncoding("latin1");
    request.on("data", (text) => {
      body += text;
    });
    request.on("end", () => {
      record(body);
      after(delayMs, () => {
        response.writeHead(200, { "content-length": 0 });
        response.end();
      });
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(server.address().port));
  });
}

async function accept(delayMs) {
  const { WebSocketServer } = await import("ws");
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  server.on("connection", (socket) => {
    socket.on("message", (data) => {
      const text = data.toString("latin1");
      record(text);
      const { offset } = JSON.parse(text);
      after(delayMs, () => socket.send(`{"type":"ack","offset":${offset}}`));
    });
  });
  await once(server, "listening");
  return server.address().port;
}

function after(delayMs, run) {
  if (delayMs === 0) run();
  else setTimeout(run, delayMs);
}

function record(body) {
  const at = body.indexOf(marker);
  if (at === -1) return;
  lastAt = monotonicMicroseconds();
  if (latency.count === 0) firstAt = lastAt;
  latency.record(lastAt - Number.parseInt(body.slice(at + marker.length, at + marker.length + 16), 10));
}
