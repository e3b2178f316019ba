/**
 * The end of a run: nobody fails any more, everything that can go on goes on. Then everything owed is done, exactly
 * once; and a day in which nothing is due passes without a write and without a timer.
 */
import type { StreamEvent } from "@millrace/protocol";
import { append, stopServer } from "./actions.ts";
import type { StoredStream } from "./disk.ts";
import { pausedHours, sickDays } from "./hard-times.ts";
import { acknowledgementFaults, owed } from "./invariants.ts";
import { builtin, isRepeating, periodOf } from "./reference.ts";
import { heal, repair } from "./repair.ts";
import { idOfAppend, scripts } from "./scripts.ts";
import type { Server } from "./server.ts";
import type { Simulation } from "./simulation.ts";
import { judgeState } from "./state-judge.ts";
import { hour, quiet, run, second } from "./time.ts";

export async function rest(simulation: Simulation): Promise<void> {
  simulation.say("the end begins");
  heal(simulation);
  const server = await lastServer(simulation);
  for (let round = 0; round < 30; round++) {
    await run(simulation, 60 * second);
    if (!repair(simulation, server)) break;
  }
  // Back-off goes up to an hour, and a hook that is stuck is ended after a quarter of one, five times.
  cancelFast(simulation, server);
  await pausedHours(simulation, server);
  for (let round = 0; round < 30; round++) {
    await run(simulation, 3 * hour);
    if (!repair(simulation, server)) break;
  }
  judgeEnd(simulation, server.clock.now());
  const { streams } = await simulation.disk.directory.due({ now: Number.MAX_SAFE_INTEGER, limit: 10 });
  for (const { path, claim } of streams) simulation.wrong(`at the end ${path} owes its ancestors ${claim.kind}`);
  for (const path of simulation.disk.streams.keys()) await judgeStateNow(simulation, server, path);
  await freshSchedule(simulation, server);
  await idleDay(simulation, server);
  await sickDays(simulation, server);
  for (let round = 0; round < 30; round++) {
    await run(simulation, 3 * hour);
    if (!repair(simulation, server)) break;
  }
  judgeEnd(simulation, server.clock.now());
  await simulation.settle();
}

/** One server, alone: an old one goes on only if no other ever wrote meanwhile. */
async function lastServer(simulation: Simulation): Promise<Server> {
  const [first, ...others] = simulation.servers;
  if (first !== undefined && others.length === 0 && !first.stopping && simulation.profile.servers === 1) return first;
  for (const server of [...simulation.servers]) {
    if (simulation.random.integer(2) === 0) simulation.crash(server);
    else if (!server.stopping) stopServer(simulation, server);
  }
  for (let i = 0; i < 100 && simulation.servers.length > 0; i++) await run(simulation, second);
  if (simulation.servers.length > 0) throw new Error("a server does not come to its end");
  return simulation.start();
}

function cancelFast(simulation: Simulation, server: Server): void {
  for (const { path, reference } of simulation.disk.streams.values()) {
    for (const [slug, { schedule }] of reference.schedules) {
      if (isRepeating(schedule) && periodOf(schedule) >= hour) continue;
      append(simulation, server, path, [{ type: builtin("schedule-cancelled"), payload: { slug } }]);
    }
  }
}

function judgeEnd(simulation: Simulation, now: number): void {
  const { disk, observer } = simulation;
  for (const stream of disk.streams.values()) {
    const { path, reference, wakeAt, progress } = stream;
    for (const { at, what } of owed(stream)) if (at <= now) simulation.wrong(`at the end ${path}: ${what}`);
    if (wakeAt !== null && wakeAt <= now) simulation.wrong(`at the end ${path} has a claim that is due`);
    for (const [slug, row] of progress) {
      if (row.work.length > 0) simulation.wrong(`at the end ${path} has open work of ${slug}`);
      if (!reference.processors.has(slug) && !reference.pushers.has(slug))
        simulation.wrong(`at the end ${path} has the row of ${slug}, which was removed`);
    }
    judgeAppends(simulation, stream);
  }
  for (const work of observer.works.values()) judgeWork(simulation, work);
  for (const fault of acknowledgementFaults(disk, observer)) simulation.wrong(fault);
}

/** Exactly one of everything that the hooks append, for each event behind the start of the epoch. */
function judgeAppends(simulation: Simulation, { path, events, reference }: StoredStream): void {
  const { disk } = simulation;
  for (const [slug, { epoch, startAfter, halted }] of reference.processors) {
    if (halted) continue;
    for (const event of events) {
      if (event.offset <= startAfter) continue;
      for (const [n, { to }] of (scripts[slug]?.appends(event) ?? []).entries()) {
        const id = idOfAppend({ path, slug, epoch }, event, n);
        // Other streams may have been deleted with it.
        if (to === undefined && disk.placeOf(id) === undefined) simulation.wrong(`at the end ${id} is not in the log`);
      }
    }
  }
}

/** Work that was asked for was done, or somebody was told that it was not. */
function judgeWork(simulation: Simulation, work: ReturnType<Simulation["observer"]["works"]["get"]>): void {
  if (work === undefined || work.ended) return;
  const { path, slug, epoch, offset, name } = work;
  const stream = simulation.disk.streams.get(path);
  const processor = stream?.reference.processors.get(slug);
  if (stream === undefined || offset < stream.birthOffset || processor?.epoch !== epoch || processor.halted) return;
  if (!simulation.observer.returned.has(`${path}|${slug}|${epoch}|${offset}`)) return;
  if (stream.reference.workErrors.has(`${slug}|${offset}|${name}`)) return;
  // Whoever ends work by name knows of it.
  if (stream.events.some((event) => event.offset > offset && endsWork(event, name))) return;
  simulation.wrong(`at the end nobody knows of ${path}|${slug}|${epoch}|${offset}|${name}`);
}

/** With nothing in its way a schedule ticks at its times, to the millisecond. */
async function freshSchedule(simulation: Simulation, server: Server): Promise<void> {
  const payload = { slug: "fresh", append: { type: "fresh" }, schedule: { kind: "every", intervalSeconds: 5 } };
  append(simulation, server, "/fresh", [{ type: builtin("append-scheduled"), payload }]);
  await run(simulation, 60 * second);
  const [entry] = simulation.disk.streams.get("/fresh")?.reference.schedules.values() ?? [];
  const { ticks, lateMs } = entry ?? { ticks: 0, lateMs: 0 };
  if (ticks !== 12 || lateMs !== 0) simulation.wrong(`a fresh schedule ticked ${ticks} times, ${lateMs} ms late`);
}

function endsWork({ type, payload }: StreamEvent, name: string): boolean {
  return type === "stop" && (payload as { name?: string }).name === name;
}

async function idleDay(simulation: Simulation, server: Server): Promise<void> {
  const schedules = [...simulation.disk.streams.values()].flatMap(({ path, reference }) =>
    [...reference.schedules.keys()].map((slug) => ({ path, slug })),
  );
  for (const { path, slug } of schedules) {
    append(simulation, server, path, [{ type: builtin("schedule-cancelled"), payload: { slug } }]);
  }
  // What was claimed before is looked for once more, for nothing; schedules are up to six hours apart.
  await run(simulation, 7 * hour);
  const { commits } = simulation.disk;
  const timer = server.clock.nextTimerInMs();
  if (timer !== undefined) simulation.wrong(`idle, and a timer runs for ${timer} ms`);
  await run(simulation, 24 * hour);
  if (simulation.disk.commits !== commits) simulation.wrong("idle, and something was written");
}

async function judgeStateNow(simulation: Simulation, server: Server, path: string): Promise<void> {
  const judging = judgeState(simulation, server, path);
  await quiet(simulation);
  await judging;
}
