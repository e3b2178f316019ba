/**
 * The engine under chance: every seed is a run of one disk, servers that crash, clients, clocks that jump, hooks that
 * fail. A failing seed prints the command that replays it.
 */
import type { StreamEvent } from "@millrace/protocol";
import { createInProcessExpressions } from "@millrace/testing";
import { expect, test } from "vitest";
import { evaluated, matchers, transforms } from "./rules.ts";
import { simulate } from "./run.ts";

const seeds = Number(process.env.MILLRACE_SIM_SEEDS ?? 200);
const first = Number(process.env.MILLRACE_SIM_FIRST ?? 1);
const only = process.env.MILLRACE_SIM_SEED === undefined ? undefined : Number(process.env.MILLRACE_SIM_SEED);
const steps = Number(process.env.MILLRACE_SIM_STEPS ?? 600);
const linesShown = 40;

test.runIf(only !== undefined)(`seed ${only}`, async () => {
  const { trace, fault } = await simulate(only as number, steps);
  console.log(trace.join("\n"));
  expect(fault).toBeUndefined();
});

test.runIf(only === undefined)(
  `${seeds} seeds of ${steps} steps`,
  async () => {
    const failed: string[] = [];
    let commits = 0;
    let calls = 0;
    let arrivals = 0;
    let frames = 0;
    for (let seed = first; seed < first + seeds && failed.length < 5; seed++) {
      const run = await simulate(seed, steps);
      commits += run.commits;
      calls += run.calls;
      arrivals += run.arrivals;
      frames += run.frames;
      if (run.fault !== undefined) failed.push(report(seed, run.fault, run.trace));
    }
    expect(failed.join("\n\n")).toBe("");
    // Runs in which nothing happens would prove nothing.
    expect(commits).toBeGreaterThan(seeds * (steps / 20));
    expect(calls).toBeGreaterThan(seeds * (steps / 20));
    expect(arrivals).toBeGreaterThan(seeds * (steps / 20));
    // Sockets are one of the ways in which a subscription delivers.
    expect(frames).toBeGreaterThan(seeds * (steps / 60));
  },
  60_000 + seeds * steps * 10,
);

test.runIf(only === undefined)("the same seed gives the same trace", async () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const [first, second] = [await simulate(seed, steps), await simulate(seed, steps)];
    expect(first.trace.length).toBeGreaterThan(steps / 2);
    expect(second.trace).toEqual(first.trace);
    expect(second.commits).toBe(first.commits);
  }
});

test.each(Object.keys(matchers).flatMap((matcher) => Object.keys(transforms).map((transform) => [matcher, transform])))(
  "%s and %s mean in JSONata what they mean here",
  async (matcher = "", transform = "") => {
    const expressions = createInProcessExpressions();
    const cause = { streamPath: "/other", offset: 2 };
    const source = { kind: "subscription" as const, slug: "up", cause, depth: 1 };
    for (const type of ["ping", "noise", "poison", "shouted", "pong", "tick"]) {
      for (const rest of [{ offset: 7 }, { offset: 8 }, { offset: 8, source }]) {
        const event: StreamEvent = {
          streamPath: "/a",
          type,
          payload: {},
          createdAt: "2026-01-01T00:00:00.000Z",
          ...rest,
        };
        const rule = { matcher, transform };
        const expected = await expressions.evaluate(rule, JSON.stringify(event)).catch(() => "fails");
        expect(outcome(() => evaluated(rule, event))).toEqual(expected);
      }
    }
  },
);

function outcome<Value>(run: () => Value): Value | "fails" {
  try {
    return run();
  } catch {
    return "fails";
  }
}

function report(seed: number, fault: string, trace: readonly string[]): string {
  const replay = `MILLRACE_SIM_SEED=${seed} MILLRACE_SIM_STEPS=${steps} npx vitest run test/simulation`;
  return `seed ${seed}: ${fault}\n  ... ${trace.slice(-linesShown).join("\n  ")}\nreplay: ${replay}`;
}
