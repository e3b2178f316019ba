/** Processes of code that says what memory it may have, and what a busy process may do that burns nothing. */
import { readFileSync } from "node:fs";
import { getPriority } from "node:os";
import { isSandboxError, noCalls } from "@millrace/engine";
import { expect, test, vi } from "vitest";
import { innermostOf } from "../dist/sandbox/process-figures.js";
import { counted, delivery, event, startSandbox } from "./sandboxes.ts";

const memoryMb = 32;
const waits = "if (event.payload.wait) await new Promise((resolve) => setTimeout(resolve, 60_000));";
const waiting = { ...delivery, events: [{ ...event, payload: { wait: true } } as never] };

test("code with a limit of memory has a process of its own, which streams with the same code share", async () => {
  const { sandbox, load } = startSandbox();
  await load(1);
  await load(2);
  const [shared] = sandbox.pids;
  expect(sandbox.pids).toEqual([shared]);
  const limited = await Promise.all([load(3, "", { memoryMb }), load(3, "", { memoryMb }), load(4, "", { memoryMb })]);
  expect(sandbox.pids).toHaveLength(3);
  for (const processor of limited) expect(await processor.deliver(delivery, noCalls)).toEqual(counted);
  expect(sandbox.pids).toHaveLength(3);
});

test("the process that was idle for longest makes room for another, and what was in it comes back", async () => {
  const { sandbox, load } = startSandbox({ ownMax: 2 });
  const processors = [];
  for (const number of [1, 2, 3]) processors.push(await load(number, "", { memoryMb }));
  for (const processor of [...processors, ...processors]) {
    expect(await processor.deliver(delivery, noCalls)).toEqual(counted);
    await vi.waitFor(() => expect(sandbox.pids).toHaveLength(2));
  }
});

test("where all of them are busy there is no room now", async () => {
  const { load } = startSandbox({ ownMax: 1 });
  const busy = await load(1, waits, { memoryMb });
  const running = busy.deliver(waiting, noCalls).catch((error) => error);
  const error = await load(2, "", { memoryMb }).catch((error) => error);
  expect(isSandboxError(error) && [error.reason, error.message]).toEqual([
    "unavailable",
    "1 processors of this project have a process of their own (limits.memoryMb), and all of them are busy. It is tried again.",
  ]);
  expect(await Promise.race([running, "still running"])).toBe("still running");
});

test("a process that is busy because it has much to do burns nothing", async () => {
  const faults: string[] = [];
  const { sandbox, load } = startSandbox({
    burning: { windowMs: 500, lookEveryMs: 50, holdMs: 50 },
    onFault: ({ message }) => void faults.push(message),
  });
  const computes = "const until = Date.now() + 15; while (Date.now() < until);";
  const processors = await Promise.all([1, 2, 3, 4].map((number) => load(number, computes)));
  const [pid] = sandbox.pids;
  const end = performance.now() + 4_000;
  await Promise.all(
    processors.map(async (processor) => {
      while (performance.now() < end) expect(await processor.deliver(delivery, noCalls)).toEqual(counted);
    }),
  );
  expect(faults).toEqual([]);
  expect(sandbox.pids).toEqual([pid]);
});

test("what is busy for long comes behind the server until it rests", async () => {
  const { sandbox, load } = startSandbox({ burning: { windowMs: 60_000, yieldAfterMs: 300, lookEveryMs: 50 } });
  const computes =
    "const end = Date.now() + 4_000; while (Date.now() < end) { const until = Date.now() + 20; while (Date.now() < until); await new Promise((resolve) => setTimeout(resolve, 0)); }";
  const processor = await load(1, computes);
  const pid = innermostOf(sandbox.pids[0] as number);
  const niceness = () => {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
  };
  expect(niceness()).toBe(getPriority());
  const running = processor.deliver(delivery, noCalls);
  await vi.waitFor(() => expect(niceness()).toBe(Math.min(getPriority() + 5, 19)), 10_000);
  expect(await running).toEqual(counted);
  // To take it back is not every user's right.
  if (process.getuid?.() === 0) await vi.waitFor(() => expect(niceness()).toBe(getPriority()), 10_000);
});
