/** Sandbox processes from outside: recycled, killed at bad moments, shut in, and gone with their sandbox. */
import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { isSandboxError, noCalls } from "@millrace/engine";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { burningDefaults } from "../dist/sandbox/burning.js";
import { dataBytesMax, findIsolation } from "../dist/sandbox/isolation.js";
import { innermostOf } from "../dist/sandbox/process-figures.js";
import { workerModules } from "../dist/sandbox/worker-modules.js";
import { workerdBinary } from "../dist/sandbox/workerd-binary.js";
import { WorkerdProcess } from "../dist/sandbox/workerd-process.js";
import { counted, delivery, event, startSandbox } from "./sandboxes.ts";

const isAlive = (pid: number) => spawnSync("kill", ["-0", String(pid)]).status === 0;

test("a process takes so many isolates, however many come at once", async () => {
  const { sandbox, load } = startSandbox({ isolatesMax: 3 });
  const loaded = await Promise.all(Array.from({ length: 8 }, (_, number) => load(number)));
  const results = await Promise.all(loaded.map((processor) => processor.deliver(delivery, noCalls)));
  expect(results).toEqual(loaded.map(() => counted));
  expect(sandbox.pids.length).toBeLessThanOrEqual(3);
});

test("what waits to be loaded has no process started for it", async () => {
  const { sandbox, load } = startSandbox({ isolatesMax: 75 });
  await Promise.all(Array.from({ length: 150 }, (_, number) => load(number)));
  expect(sandbox.pids.length).toBe(1);
});

test("so many processes and no more, however much is busy; what waits for one is loaded when one is free", async () => {
  const processesMax = { ofProject: 2, all: 10 };
  const { sandbox, load } = startSandbox({ isolatesMax: 1, processesMax });
  const stopping = new AbortController();
  const waits = "await new Promise((resolve) => setTimeout(resolve, 60_000));";
  const busy = await Promise.all([load(1, waits), load(2, waits)]);
  const running = busy.map((code) => code.deliver(delivery, { ...noCalls, signal: stopping.signal }));
  const refused = await load(3).catch((error) => error);
  expect(refused).toMatchObject({ reason: "unavailable", message: expect.stringContaining("2 sandbox processes") });
  expect(sandbox.pids).toHaveLength(2);
  stopping.abort(new Error("enough"));
  expect(await Promise.all(running)).toMatchObject([{ is: "hook-failed" }, { is: "hook-failed" }]);
  await vi.waitFor(async () => expect(await (await load(3)).deliver(delivery, noCalls)).toEqual(counted), 20_000);
  expect(sandbox.pids.length).toBeLessThanOrEqual(2);
});

test("a process that loaded so much is replaced by another, and ends when nothing runs in it", async () => {
  const { sandbox, load } = startSandbox({ loadsMax: 2, sweepMs: 50 });
  await load(1);
  const [first] = sandbox.pids;
  await load(2);
  const third = await load(3);
  await vi.waitFor(() => expect(isAlive(first as number)).toBe(false), 10_000);
  expect(await third.deliver(delivery, noCalls)).toEqual(counted);
});

test("what runs when its process is killed is interrupted, and the next delivery finds another process", async () => {
  const { sandbox, load } = startSandbox();
  const waiting = await load(1, "if (event.payload.wait) await new Promise((resolve) => setTimeout(resolve, 60_000));");
  const wait = { ...delivery, events: [{ ...event, payload: { wait: true } } as never] };
  const running = waiting.deliver(wait, noCalls).catch((error) => error);
  await new Promise((resolve) => setTimeout(resolve, 100));
  process.kill(sandbox.pids[0] as number, "SIGKILL");

  const error = await running;
  expect(isSandboxError(error) && error.reason).toBe("interrupted");
  expect(await waiting.deliver(delivery, noCalls)).toEqual(counted);
});

test("a process that is killed while much is loaded costs a load at most one more try", async () => {
  const { sandbox, load } = startSandbox();
  await load(0);
  const loading = Array.from({ length: 10 }, (_, number) => load(number + 1));
  process.kill(sandbox.pids[0] as number, "SIGKILL");
  const loaded = await Promise.all(loading);
  expect(await loaded[9]?.deliver(delivery, noCalls)).toEqual(counted);
});

test("a hook that outlasts its grace is left behind, and holds nothing up", async () => {
  const { load } = startSandbox();
  const processor = await load(1, "await new Promise((resolve) => setTimeout(resolve, 60_000));");
  const abort = new AbortController();
  const running = processor.deliver(delivery, { ...noCalls, signal: abort.signal });
  abort.abort(new Error("The stream was paused."));
  expect(await running).toMatchObject({ is: "hook-failed", error: { message: "The stream was paused." } });
});

test("a large state and large events go there and back", async () => {
  const { load } = startSandbox();
  // Three quarters of what code may compute without limits of its own, where nobody else computes.
  const processor = await load(1, "", { cpuMs: 5_000 });
  const state = JSON.stringify({ text: '\u00e9"'.repeat(2_000_000), counted: 0 });
  const large = { ...event, payload: { text: "x".repeat(5 << 20) } } as never;
  const result = await processor.deliver({ ...delivery, given: state, events: [large] }, noCalls);
  expect(result).toEqual({ ...counted, state: state.replace('"counted":0', '"counted":1') });
});

test("an error that is longer than any message is an error, and no end of the sandbox", async () => {
  const { sandbox, load } = startSandbox();
  const limits = { cpuMs: 5_000 };
  const failing = await load(1, 'throw new Error("\\u6f22".repeat(5_700_000));', limits);
  const tooLong = expect.stringContaining("The answer has more than");
  expect(await failing.deliver(delivery, noCalls)).toMatchObject({ is: "hook-failed", error: { message: tooLong } });
  const modules = { "p.js": 'throw new Error("\\u6f22".repeat(11_500_000));' };
  const code = { project: "demo", main: "p.js", modules, env: {}, limits };
  const place = { path: "/2", slug: "code", epoch: 2, configuredAt: 2 };
  const unloaded = await sandbox.load(code, place).catch((error) => error);
  expect(unloaded).toMatchObject({ reason: "code", message: expect.stringContaining("\u6f22\u6f22") });
});

test("a process that cannot be started leaves nothing behind", async () => {
  const closed: string[] = [];
  const { load } = startSandbox({
    isolation: async () => ({
      wrap() {
        throw new Error("no descriptors are left");
      },
      description: "",
      missing: [],
    }),
    listen: async (_, socketPath) => {
      writeFileSync(socketPath, "");
      return { close: async () => void closed.push(socketPath) };
    },
  });
  await expect(load(1)).rejects.toThrow("no descriptors are left");
  // At once, and once more.
  expect(closed).toHaveLength(2);
  for (const socketPath of closed) expect(existsSync(path.dirname(socketPath))).toBe(false);
});

test("a server that has no place for the files of processes is no fault of the code", async () => {
  const { TMPDIR } = process.env;
  process.env.TMPDIR = "/nowhere/at/all";
  onTestFinished(() => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  });
  const faults: string[] = [];
  const { load } = startSandbox({ onFault: ({ message }) => faults.push(message) });
  const error = await load(1).catch((error) => error);
  expect(error).toMatchObject({ reason: "unavailable", message: expect.stringMatching(/ENOENT.*\/nowhere/) });
  expect(faults).toContain(error.message);
});

test("a process that is asked for a sign of life over and over keeps nothing of that", async () => {
  const directory = mkdtempSync(path.join(tmpdir(), "millrace-watched-"));
  const watched = await WorkerdProcess.start({
    ...{ binary: workerdBinary(), directory, number: 1, modules: await workerModules(), burning: burningDefaults },
    isolation: { wrap: (command) => command, description: "", missing: [] },
    async listen(socketPath) {
      writeFileSync(socketPath, "");
      return { close: async () => {} };
    },
  });
  onTestFinished(() => watched.stop());
  const waiting = vi.spyOn(watched.ended, "then");
  const deed = { what: "call", through: 1 } as const;
  const over = watched.begin({ suspect: "s", deed, sentAt: performance.now(), questions: 0, cpuMs: 450 });
  const began = performance.now();
  await vi.waitFor(() => expect(watched.answeredAt).toBeGreaterThan(began + 300), 10_000);
  over();
  expect(waiting).not.toHaveBeenCalled();
});

test("the end of a process interrupts what is asked of it once, however soon it is asked again", async () => {
  const { load } = startSandbox();
  const [healthy, looping] = [await load(1), await load(2, "for (;;);")];
  let convicted: unknown;
  void (async () => {
    while (convicted === undefined) {
      await looping.deliver(delivery, noCalls).catch((error) => {
        if (error.reason === "code") convicted = error;
      });
    }
  })();
  let interruptions = 0;
  let mostInARow = 0;
  while (convicted === undefined) {
    try {
      await healthy.deliver(delivery, noCalls);
      interruptions = 0;
    } catch {
      mostInARow = Math.max(mostInARow, ++interruptions);
    }
  }
  expect(mostInARow).toBeGreaterThan(0);
  expect(mostInARow).toBeLessThan(4);
});

test("a state that is almost as large as one may be is no loop", async () => {
  const { load } = startSandbox();
  const processor = await load(1);
  const many = Array.from({ length: 170_000 }, (_, n) => ({ number: n, what: '"\u00e9"', of: [n] }));
  const stateOf = (counted: number) => JSON.stringify({ number: 1, counted, many });
  expect(stateOf(0).length).toBeGreaterThan(7 << 20);
  for (let counted = 0; counted < 3; counted++) {
    const result = await processor.deliver({ ...delivery, given: stateOf(counted) }, noCalls);
    expect(result).toEqual({ is: "done", state: stateOf(counted + 1), passedOver: [] });
  }
});

test("with the sandbox all its processes end", async () => {
  const { sandbox, load } = startSandbox({ isolatesMax: 1 });
  const running = await Promise.all([load(1, "await new Promise((r) => setTimeout(r, 60_000));"), load(2)]);
  const interrupted = running[0]?.deliver(delivery, noCalls).catch((error) => error);
  const { pids } = sandbox;
  expect(pids.length).toBeGreaterThan(0);
  await sandbox.close();
  expect(pids.filter(isAlive)).toEqual([]);
  expect(isSandboxError(await interrupted)).toBe(true);
});

const hasBwrap = spawnSync("bwrap", ["--version"]).status === 0;
if (!hasBwrap)
  console.log("left out: the test of processes in bwrap, because bwrap (package bubblewrap) is not installed");

describe("how a process is shut in", () => {
  const isRoot = process.getuid?.() === 0;
  const statusOf = (pid: number, field: string) =>
    new RegExp(`^${field}:\\s+(.*)$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];

  async function startIn(isolation: Awaited<ReturnType<typeof findIsolation>>): Promise<number> {
    const { sandbox, load } = startSandbox({ isolation: async () => isolation });
    expect(await (await load(1)).deliver(delivery, noCalls)).toEqual(counted);
    return innermostOf(sandbox.pids[0] as number);
  }

  test.skipIf(!hasBwrap)("in bwrap it sees no files and processes but its own, and no network", async () => {
    const pid = await startIn(await findIsolation(workerdBinary()));
    for (const kind of ["net", "mnt", "pid", "ipc", "user"]) {
      expect(readlinkSync(`/proc/${pid}/ns/${kind}`)).not.toBe(readlinkSync(`/proc/self/ns/${kind}`));
    }
    expect(() => statSync(`/proc/${pid}/root/etc`)).toThrow(/ENOENT/);
    // /dev/shm would be memory that no limit counts.
    expect(readdirSync(`/proc/${pid}/root/dev`).sort()).toEqual(["null", "urandom"]);
    expect(statusOf(pid, "CapEff")).toMatch(/^0+$/);
  });

  test.skipIf(!isRoot)("without bwrap it has no network, no rights, and a user that no other process has", async () => {
    const isolation = await findIsolation(workerdBinary(), { bwrap: false });
    const first = await startIn(isolation);
    expect(readlinkSync(`/proc/${first}/ns/net`)).not.toBe(readlinkSync("/proc/self/ns/net"));
    expect(statusOf(first, "CapEff")).toMatch(/^0+$/);
    expect(statusOf(first, "NoNewPrivs")).toBe("1");
    const users = [isolation.userOf?.(1), isolation.userOf?.(2)];
    expect(statusOf(first, "Uid")?.split("\t")[0]).toBe(String(users[0]));
    expect(new Set([...users, 0]).size).toBe(3);
  });

  test("its memory is limited, where that can be, and it leaves no core file", async () => {
    const isolation = await findIsolation(workerdBinary());
    const pid = await startIn(isolation);
    const has = readFileSync(`/proc/${pid}/limits`, "utf8");
    const isLimited = isolation.description.includes("memory");
    expect(new RegExp(`^Max data size\\s+${dataBytesMax}\\s+${dataBytesMax}\\s`, "m").test(has)).toBe(isLimited);
    expect(/^Max core file size\s+0\s+0\s/m.test(has)).toBe(isLimited);
  });

  test("a machine that has none of it holds up nobody who looks", async () => {
    const file = fileURLToPath(new URL("../dist/sandbox/isolation.js", import.meta.url));
    const code = `
      const { findIsolation } = await import(${JSON.stringify(file)});
      const { missing } = await findIsolation();
      const timers = process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
      console.log(missing.length > 2, timers);`;
    const env = { PATH: "/nowhere" };
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", code], { env });
    expect(stdout).toBe("true 0\n");
  });

  test("what is missing is said, and how to have it", async () => {
    const { description, missing } = await findIsolation("/nowhere/workerd", { bwrap: false });
    expect(description).not.toMatch(/bwrap|a user of its own/);
    expect(missing.join("\n")).toMatch(/bubblewrap/);
  });
});

test("a closed server leaves no timer behind that would hold up its end", async () => {
  const program = fileURLToPath(new URL("close-and-look.mjs", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program], { timeout: 60_000 });
  expect(stdout).toBe("timers: 0\n");
});

test("where the server may open no more files, nothing more starts, and it goes on", async () => {
  const program = fileURLToPath(new URL("without-descriptors.mjs", import.meta.url));
  const line = 'ulimit -n 256 && exec "$0" "$1"';
  const { stdout } = await promisify(execFile)("/bin/sh", ["-c", line, process.execPath, program], { timeout: 60_000 });
  expect(stdout.trim().split("\n")).toEqual([
    "done",
    "done",
    expect.stringMatching(/^unavailable: .*EMFILE/),
    expect.stringMatching(/^unavailable: .*spawn .* EMFILE/),
    // What cannot be found out is no reason to run code behind no walls.
    expect.stringMatching(/^undefined: spawn .* EMFILE/),
    expect.stringMatching(/^missing: what this machine offers \(spawn .* EMFILE\)/),
    "done",
    "true",
  ]);
});
