/** What the operating system says about processes, files and the machine. */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  openSync,
  readdirSync,
  readFileSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { median } from "./rounds.mjs";

const tmpfs = 0x01021994;
const ticksPerSecond = 100; // USER_HZ, the same on every Linux that Node runs on

/** Resident memory of a process in MB (now, and at its peak), from /proc. @returns {{now: number, peak: number}} */
export function memoryOf(pid) {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  const megabytes = (field) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)[1]) / 1024;
  return { now: megabytes("VmRSS"), peak: megabytes("VmHWM") };
}

/** Memory of the sandbox processes below a server in MB: what is theirs alone, and their share of the rest. */
export function sandboxMemoryOf(pid) {
  const sandboxes = descendantsOf(pid).filter(
    (each) => readFileSync(`/proc/${each}/comm`, "utf8").trim() === "workerd",
  );
  const kilobytes = sandboxes.map((each) =>
    Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${each}/smaps_rollup`, "utf8"))[1]),
  );
  return { processes: sandboxes.length, megabytes: sum(kilobytes) / 1024 };
}

function descendantsOf(pid) {
  const children = childrenOf(pid);
  return [...children, ...children.flatMap(descendantsOf)];
}

function childrenOf(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Number);
}

/** How many files a process may have open. Node raises its own limit to the hard one when it starts. */
export function openFilesMax() {
  const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
  return hard === "unlimited" ? Number.POSITIVE_INFINITY : Number(hard);
}

/** Bytes of all files below a directory. */
export function bytesBelow(directory) {
  let bytes = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    bytes += entry.isDirectory() ? bytesBelow(path) : statSync(path).size;
  }
  return bytes;
}

export function freeBytes(directory) {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

/** On a RAM disk fsync costs nothing, and every number about durable appends is a different one. */
export function isRamDisk(directory) {
  return statfsSync(directory).type === tmpfs;
}

export function describeMachine(directory) {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    dataOnRamDisk: isRamDisk(directory),
    fdatasyncMs: fdatasyncMs(directory),
  };
}

/** What one small durable write costs on this disk: the number that all numbers about durable appends hang on. */
function fdatasyncMs(directory) {
  const path = join(directory, "fdatasync");
  const file = openSync(path, "a");
  const block = Buffer.alloc(4_096, "x");
  const times = Array.from({ length: 200 }, () => {
    writeSync(file, block);
    const startedAt = performance.now();
    fdatasyncSync(file);
    return performance.now() - startedAt;
  });
  closeSync(file);
  unlinkSync(path);
  return Math.round(median(times) * 1000) / 1000;
}

/**
 * Seconds of CPU so far: of the whole machine, and of the suite with those of its children that have ended.
 * @returns {{busy: number, own: number} | null} null where there is no /proc
 */
export function cpuSeconds() {
  if (!existsSync("/proc/self/stat")) return null;
  const busy = cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys, 0) / 1000;
  return { busy, own: secondsIn("/proc/self/stat", 15) };
}

/** Seconds of CPU that a process has used so far, all its threads together. */
export function cpuSecondsOf(pid) {
  return secondsIn(`/proc/${pid}/stat`, 13);
}

/** The same in microseconds, from what the scheduler of Linux counts, with those of its children that run. */
export function cpuMicrosecondsOf(pid) {
  const children = childrenOf(pid);
  const threads = readdirSync(`/proc/${pid}/task`).map((thread) => {
    const [nanoseconds] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ");
    return Number(nanoseconds) / 1_000;
  });
  const own = sum(threads);
  return { own, children: sum(children.map((child) => cpuMicrosecondsOf(child).own)) };
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

/** User and system; up to field 15 those of children that have ended as well. */
function secondsIn(file, end) {
  const afterName = readFileSync(file, "utf8").split(") ")[1].split(" ");
  return afterName.slice(11, end).reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerSecond;
}
