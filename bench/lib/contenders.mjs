/**
 * The servers that are compared, each in its own process on 127.0.0.1 with its data in a directory of its own.
 * All have one shape, so a scenario treats Millrace and its peers alike.
 *
 * @typedef {object} Contender
 * @property {string} name
 * @property {number} pid
 * @property {number} port
 * @property {string} loader module in lib/ that speaks its protocol
 * @property {string} pathPrefix what stands before a stream's name in a URL
 * @property {number[]} goodStatuses every other answer is an error
 * @property {(streams: string[]) => Promise<void>} prepare makes streams ready for appends
 * @property {() => Promise<void>} stop
 */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { turnBreakersOff } from "./millrace-client.mjs";
import { startServer } from "./processes.mjs";

const listening = /listening on http:\/\/127\.0\.0\.1:(\d+)/;
const file = (name) => fileURLToPath(new URL(name, import.meta.url));
export const ownMain = file("../../packages/millrace/dist/cli/main.js");

/**
 * @param {string} directory
 * @param {{cpuProfiles?: string, server?: string, flags?: readonly string[]}} [options] `flags` of `millrace serve`
 * @returns {Promise<Contender & {readyMs: number}>}
 */
export async function startMillrace(directory, { cpuProfiles, server: main = ownMain, flags = [] } = {}) {
  const profiling = cpuProfiles === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", cpuProfiles];
  const args = [...profiling, main, "serve", "--port", "0", "--data", join(directory, "millrace"), ...flags];
  const server = await startServer(process.execPath, args, { ready: listening });
  const port = Number(server.match[1]);
  return {
    ...httpContender("millrace", server, "/api/streams/", [200]),
    readyMs: server.readyMs,
    prepare: (streams) => turnBreakersOff(port, streams),
  };
}

/** Millrace with consumers on every stream. @returns {Promise<Contender>} */
export async function startIdleConsumers(main, data, consumers) {
  const args = [file("../servers/idle-consumers.mjs"), main, join(data, "millrace"), String(consumers)];
  const server = await startServer(process.execPath, args, { ready: listening });
  const contender = httpContender(`${consumers} idle consumers`, server, "/api/streams/", [200]);
  return { ...contender, prepare: (streams) => turnBreakersOff(contender.port, streams) };
}

/** Millrace with the processor that scenarios deploy, in the server itself. @returns {Promise<Contender>} */
export async function startInProcessConsumer(main, directory) {
  const args = [file("../servers/in-process-consumer.mjs"), main, join(directory, "in-process")];
  const server = await startServer(process.execPath, args, { ready: listening });
  return httpContender("in process", server, "/api/streams/", [200]);
}

/** @returns {Promise<Contender>} */
export async function startEcho() {
  const server = await startServer(process.execPath, [file("../servers/echo.mjs")], { ready: listening });
  return httpContender("node:http echo", server, "/api/streams/", [200]);
}

/** Live readers and appends without disk, order or validation: `GET` listens to a path, `POST` tells all who do. */
export async function startSseEcho() {
  const server = await startServer(process.execPath, [file("../servers/sse-echo.mjs")], { ready: listening });
  return httpContender("node:http SSE echo", server, "/api/streams/", [200]);
}

/** @returns {Promise<Contender>} */
export async function startDurableStreams(directory) {
  const args = [file("../servers/durable-streams.mjs"), join(directory, "durable-streams")];
  const server = await startServer(process.execPath, args, { ready: listening });
  const contender = httpContender("durable-streams", server, "/", [200, 204]);
  return {
    ...contender,
    async prepare(streams) {
      for (const stream of streams) {
        const headers = { "content-type": "application/json" };
        const answer = await fetch(`http://127.0.0.1:${contender.port}/${stream}`, { method: "PUT", headers });
        if (!answer.ok) throw new Error(`durable-streams: PUT /${stream} was answered ${answer.status}`);
      }
    },
  };
}

/** @returns {Promise<Contender>} */
export async function startRedis(directory) {
  const port = await freePort();
  const data = join(directory, "redis");
  mkdirSync(data, { recursive: true });
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", data, "--save", ""];
  const durable = ["--appendonly", "yes", "--appendfsync", "always"];
  const server = await startServer("redis-server", [...args, ...durable], { ready: /Ready to accept connections/ });
  const { pid, stop } = server;
  const loader = "redis-load.mjs";
  return { name: "redis", pid, port, loader, pathPrefix: "", goodStatuses: [200], prepare: async () => {}, stop };
}

/** Why a peer cannot take part here, or null. @param {typeof startEcho} start */
export function missing(start) {
  if (start !== startRedis) return null;
  try {
    execFileSync("redis-server", ["--version"], { stdio: "ignore" });
    return null;
  } catch {
    return "redis-server is not installed (Debian package redis-server): left out";
  }
}

/** @returns {Contender} */
function httpContender(name, { pid, match, stop }, pathPrefix, goodStatuses) {
  const port = Number(match[1]);
  return { name, pid, port, loader: "http-load.mjs", pathPrefix, goodStatuses, prepare: async () => {}, stop };
}

/** Redis cannot pick a port by itself and tell it. */
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
