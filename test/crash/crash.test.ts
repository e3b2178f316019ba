/** Never a lost acknowledgement: SIGKILL in the middle of concurrent keyed appends, round after round. */
import { expect, test } from "vitest";
import { busyPaths, createAppendWorkload } from "./append-workload.ts";
import { crash } from "./harness.ts";
import { createReadWorkload } from "./read-workload.ts";

const rounds = Number(process.env.MILLRACE_CRASH_ROUNDS ?? 20);
const seed = Number(process.env.MILLRACE_CRASH_SEED ?? Date.now() % 1_000_000);

test(
  `${rounds} crashes lose nothing, double nothing and announce every birth once (seed ${seed})`,
  async () => {
    const appends = createAppendWorkload();
    const readers = createReadWorkload("public", busyPaths);
    await crash({ workloads: [appends, readers], rounds, seed, args: ["--log-level", "error"] });
    const { intents, acknowledgedAtOnce } = appends.counts();
    // A kill that came too early or too late everywhere would prove nothing.
    expect(acknowledgedAtOnce).toBeGreaterThan(rounds);
    expect(intents - acknowledgedAtOnce).toBeGreaterThan(rounds / 2);
    expect(readers.counts().seenLive).toBeGreaterThan(rounds / 2);
  },
  rounds * 15_000 + 60_000,
);
