/**
 * Never a lost acknowledgement, never an effect twice in the log: SIGKILL in the middle of keyed appends, readers,
 * cursors, schedules, hooks, expressions and deliveries, and of the runtime of a processor, round after round.
 */
import { expect, test } from "vitest";
import { busyPaths, createAppendWorkload } from "./append-workload.ts";
import { createConsumerWorkload } from "./consumer-workload.ts";
import { createCursorWorkload } from "./cursor-workload.ts";
import { crash } from "./harness.ts";
import { createPushWorkload } from "./push-workload.ts";
import { createReadWorkload } from "./read-workload.ts";
import { createRuntimeWorkload } from "./runtime-workload.ts";
import { createScheduleWorkload, schedulePaths, scheduleProject } from "./schedule-workload.ts";

const rounds = Number(process.env.MILLRACE_CRASH_ROUNDS ?? 20);
/** Here a round is longer: what the server does by itself is awaited. */
const effectRounds = Number(process.env.MILLRACE_CRASH_ROUNDS ?? 8);
const seed = Number(process.env.MILLRACE_CRASH_SEED ?? Date.now() % 1_000_000);
/** For the tests of effects; each has some seconds more, in which it says where it was. */
const withinMs = effectRounds * 15_000 + 45_000;

test(
  `${rounds} crashes lose nothing, double nothing and announce every birth once (seed ${seed})`,
  async () => {
    const appends = createAppendWorkload();
    const readers = createReadWorkload("public", busyPaths);
    const cursors = createCursorWorkload();
    const args = ["--log-level", "error"];
    await crash({ workloads: [appends, readers, cursors], rounds, seed, args, withinMs: rounds * 15_000 + 45_000 });
    const { intents, acknowledgedAtOnce } = appends.counts();
    // A kill that came too early or too late everywhere would prove nothing.
    expect(acknowledgedAtOnce).toBeGreaterThan(rounds);
    expect(intents - acknowledgedAtOnce).toBeGreaterThan(rounds / 2);
    expect(readers.counts().seenLive).toBeGreaterThan(rounds / 2);
    const { moves, repeated, refused } = cursors.counts();
    expect(moves).toBeGreaterThan(rounds);
    expect(refused).toBeGreaterThan(rounds / 2);
    expect(repeated).toBeGreaterThan(0);
  },
  rounds * 15_000 + 60_000,
);

test(
  `${effectRounds} crashes, and every tick and every effect of a hook is in the log once (seed ${seed})`,
  async () => {
    const schedules = createScheduleWorkload();
    const consumers = createConsumerWorkload();
    const readers = createReadWorkload(scheduleProject, schedulePaths);
    const workloads = [schedules, consumers, readers];
    const { orphans } = await crash({
      ...{ workloads, rounds: effectRounds, seed, withinMs },
      mayBeSaid: /A sandbox process of/,
    });
    const { ticks, finished, late } = schedules.counts();
    expect(ticks).toBeGreaterThan(effectRounds * 2);
    expect(finished).toBeGreaterThan(effectRounds / 2);
    expect(late).toBeGreaterThan(effectRounds / 4);
    const { pings, retried, completed, interrupted, sandboxes } = consumers.counts();
    expect(pings).toBeGreaterThan(effectRounds * 2);
    expect(retried).toBeGreaterThan(0);
    expect(completed).toBeGreaterThan(effectRounds / 4);
    expect(interrupted).toBeGreaterThan(effectRounds / 4);
    expect(sandboxes).toBeGreaterThan(effectRounds);
    // On a busy machine most servers are killed before the sandbox that was killed just then is there again.
    expect(orphans).toBeGreaterThan(effectRounds / 8);
  },
  effectRounds * 15_000 + 60_000,
);

test(
  `${effectRounds} crashes, and what was transformed is in the log once, what was pushed came in order (seed ${seed})`,
  async () => {
    const pushes = await createPushWorkload(seed);
    const args = ["--allow-private-destinations"];
    const { orphans } = await crash({ workloads: [pushes], rounds: effectRounds, seed, args, withinMs }).finally(
      pushes.dispose,
    );
    const { orders, posted, sent, misbehaved } = pushes.counts();
    expect(orders).toBeGreaterThan(effectRounds * 2);
    expect(misbehaved).toBeGreaterThan(effectRounds / 4);
    for (const { arrivals, repeats } of [posted, sent]) {
      expect(arrivals).toBeGreaterThan(orders * 2);
      // An event that was under way when the server was killed, or that was not taken.
      expect(repeats).toBeGreaterThan(effectRounds / 4);
    }
    expect(sent.underWayMost).toBeGreaterThan(2);
    // They evaluate expressions, and not one of them outlived its server.
    expect(orphans).toBeGreaterThan(effectRounds / 2);
  },
  effectRounds * 15_000 + 120_000,
);

test(
  `${effectRounds} crashes of server and runtime, and every input was acted on or missed once (seed ${seed})`,
  async () => {
    const runtimes = createRuntimeWorkload();
    await crash({ workloads: [runtimes], rounds: effectRounds, seed, samePort: true, withinMs }).finally(
      runtimes.dispose,
    );
    const counts = runtimes.counts();
    expect(counts.kills).toBeGreaterThan(effectRounds / 4);
    expect(counts.stops).toBeGreaterThan(effectRounds / 8);
    expect(counts.acted).toBeGreaterThan(effectRounds * 10);
    expect(counts.missed).toBeGreaterThan(effectRounds);
    expect(counts.decisions).toBeGreaterThan(effectRounds);
    // Processes were killed in the middle of their work, not beside it.
    expect(counts.actedAgain + counts.actedAndMissed).toBeGreaterThan(effectRounds / 4);
  },
  effectRounds * 15_000 + 120_000,
);
