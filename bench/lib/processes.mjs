/**
 * Every child process of the suite is started here, and ended here by its own pid, also when the suite is interrupted.
 */
import { fork, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const keptErrorCharacters = 2_000;

/** @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();
/** Those that the suite itself ends. */
const ending = new WeakSet();

/** @param {URL} module */
export function forkModule(module) {
  return track(fork(fileURLToPath(module), { stdio: ["ignore", "ignore", "inherit", "ipc"], execArgv: [] }));
}

/**
 * A server that says on stdout when it is ready.
 * @param {string} command @param {string[]} args
 * @param {{ready: RegExp, timeoutMs?: number, environment?: Record<string, string>}} options
 * @returns {Promise<{pid: number, match: RegExpExecArray, readyMs: number, stop: () => Promise<void>}>}
 */
export async function startServer(command, args, { ready, timeoutMs = 60_000, environment = {} }) {
  const startedAt = performance.now();
  const child = track(
    spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...environment } }),
  );
  let complaint = "";
  child.process.stderr.on("data", (text) => {
    complaint = (complaint + text).slice(-keptErrorCharacters);
  });
  const match = await new Promise((resolve, reject) => {
    const fail = (why) =>
      reject(new Error(`${command} ${args[0] ?? ""} ${why}${complaint && `: ${complaint.trim()}`}`));
    const timer = setTimeout(() => fail(`was not ready in ${timeoutMs} ms`), timeoutMs);
    child.process.once("error", (error) => fail(`cannot be started (${error.message})`));
    child.process.once("exit", (code, signal) => fail(`ended with ${signal ?? code} before it was ready`));
    createInterface({ input: child.process.stdout }).on("line", (line) => {
      const found = ready.exec(line);
      if (found === null) return;
      clearTimeout(timer);
      resolve(found);
    });
  }).catch(async (error) => {
    await child.stop("SIGKILL");
    throw error;
  });
  const readyMs = performance.now() - startedAt;
  child.process.once("exit", (code, signal) => {
    if (!ending.has(child.process))
      process.stderr.write(`${command} ended by itself (${signal ?? code}): ${complaint.trim()}\n`);
  });
  return { pid: child.process.pid, match, readyMs, stop: () => child.stop("SIGTERM") };
}

/** Ends whatever is left, at once. */
export async function stopEverything() {
  await Promise.all([...running].map((child) => end(child, "SIGKILL")));
}

function track(child) {
  running.add(child);
  child.once("exit", () => running.delete(child));
  child.once("error", () => running.delete(child));
  return { process: child, stop: (signal) => end(child, signal) };
}

/** A child that does not heed SIGTERM in time is killed, and the suite says so: a clean end is part of what is measured. */
async function end(child, signal, graceMs = 60_000) {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  ending.add(child);
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  const timer = setTimeout(() => {
    process.stderr.write(`process ${child.pid} ignored ${signal} for ${graceMs} ms and was killed\n`);
    child.kill("SIGKILL");
  }, graceMs);
  await exited;
  clearTimeout(timer);
}
