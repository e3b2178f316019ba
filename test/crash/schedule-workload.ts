/**
 * Schedules that are made, replaced and cancelled at random while the server is killed. What it insists on is in
 * schedule-check.ts; here is what is done, and that every schedule goes on after each start.
 */
import { append, breakerOff, builtin, getJson, readAll } from "../processes/http.ts";
import type { ServerProcess } from "../processes/server-process.ts";
import { eventually, type Round, type Workload } from "./harness.ts";
import { createSender, type Sender, sendUntilDead } from "./keyed.ts";
import { type ScheduleCounts, verifyHistory } from "./schedule-check.ts";

export const scheduleProject = "schedules";
export const schedulePaths = ["/beat/0", "/beat/1", "/beat/2"];
const slugs = ["a", "b", "c", "d"];

export interface ScheduleWorkload extends Workload {
  counts(): ScheduleCounts;
}

export function createScheduleWorkload(): ScheduleWorkload {
  const senders = schedulePaths.map((path) => createSender(scheduleProject, path));
  const counts: ScheduleCounts = { ticks: 0, finished: 0, late: 0 };

  return {
    name: "schedules",
    counts: () => counts,

    // Also where the first kill comes before anything was appended.
    async prepare(server) {
      if (!(await switchBreakersOff(server))) throw new Error("the streams could not be made");
    },

    async act(server, round, signal) {
      if (!(await switchBreakersOff(server))) return;
      await Promise.all(
        senders.map((sender) => sendUntilDead(sender, { server, round, signal }, () => change(round.random))),
      );
    },

    async recover(server) {
      for (const sender of senders) await sender.resend(server);
      const since = Date.now();
      for (const path of schedulePaths) await eventually(`schedules of ${path}`, () => standing(server, path, since));
    },

    async verify(server) {
      for (const sender of senders) await cancelAll(server, sender);
      for (const path of schedulePaths) await eventually(`the end of ${path}`, () => silent(server, path));
      for (const path of schedulePaths) {
        const history = verifyHistory(path, await readAll(server.url, path, scheduleProject));
        for (const name of ["ticks", "finished", "late"] as const) counts[name] += history[name];
      }
    },
  };
}

/** A new schedule in the place of whatever had the slug, or its end. */
function change(random: Round["random"]): object {
  const slug = random.pick(slugs);
  const kind = random.integer(6);
  if (kind === 0) return { type: builtin("schedule-cancelled"), payload: { slug } };
  const missed = random.pick(["fire-once", "skip"]);
  return scheduled(slug, scheduleOf(kind, random), missed);
}

function scheduleOf(kind: number, random: Round["random"]): object {
  switch (kind) {
    case 1:
      return { kind: "once-in", delaySeconds: random.integer(600) / 1_000 };
    case 2:
      return { kind: "once-at", at: new Date(Date.now() + random.integer(600) - 100).toISOString() };
    case 3:
      return { kind: "cron", cron: "* * * * * *" };
    default:
      return { kind: "every", intervalSeconds: 0.05 + random.integer(250) / 1_000 };
  }
}

function scheduled(slug: string, schedule: object, missed: string): object {
  return { type: builtin("append-scheduled"), payload: { slug, append: { type: "tick" }, schedule, missed } };
}

async function switchBreakersOff(server: ServerProcess): Promise<boolean> {
  const headers = { "x-project-slug": scheduleProject, "idempotency-key": "breaker" };
  try {
    for (const path of schedulePaths) await append(server.url, path, breakerOff, headers);
    return true;
  } catch {
    return false;
  }
}

interface ShownSchedule {
  schedule: { kind: string };
  nextAt?: string;
  lastAt?: string;
}

async function shown(server: ServerProcess, path: string): Promise<[slug: string, schedule: ShownSchedule][]> {
  const { schedules = {} } = await getJson(server.url, `/api/state${path}`, scheduleProject);
  return Object.entries(schedules as Record<string, ShownSchedule>);
}

/** None is lost: each that repeats quickly has fired since, by itself. */
async function standing(server: ServerProcess, path: string, since: number): Promise<string | undefined> {
  const waiting = (await shown(server, path)).find(([, { schedule, lastAt }]) => {
    return schedule.kind === "every" && (lastAt === undefined || Date.parse(lastAt) < since);
  });
  return waiting === undefined ? undefined : JSON.stringify(waiting);
}

/** Cancels what repeats, and sets an end behind everything that may still come: it has its own slug. */
async function cancelAll(server: ServerProcess, sender: Sender): Promise<void> {
  for (const slug of slugs) await sender.send(server, { type: builtin("schedule-cancelled"), payload: { slug } });
  await sender.send(server, scheduled("end", { kind: "once-in", delaySeconds: 1 }, "fire-once"));
}

async function silent(server: ServerProcess, path: string): Promise<string | undefined> {
  const left = await shown(server, path);
  return left.length === 0 ? undefined : JSON.stringify(left);
}
