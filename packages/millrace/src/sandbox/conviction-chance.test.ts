/**
 * Projects by chance: processors that do what they should, and among them one that takes its process with it. Whatever
 * runs beside it, it is convicted after few ends of processes, and nobody else ever is. The processes are a model; who
 * is suspected, and of what, is not.
 */
import { createSeededRandom, type SeededRandom } from "@millrace/testing";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Activities } from "./activities.ts";
import type { Deed } from "./activity.ts";
import { createSuspects } from "./suspects.ts";

const stepMs = 100;
/** From the moment in which a process hangs to its end. */
const foundMs = 600;
/** What is left behind hangs so long after its answer. */
const laterMs = 300;
const roomsMax = { quick: 2, slow: 8 };

type Harm = "none" | "hangs" | "leaves a loop behind";

interface One {
  name: string;
  harm: Harm;
  offset: number;
  /** It acts on this event, in the process of all. */
  call?: { endsAt: number; over(): void };
  /** It is alone in a room. */
  room?: { leaveAt: number; doneAt?: number; hangsAt?: number; isSlow: boolean; hasActed: boolean };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

function createProject(random: SeededRandom, harm: Harm, innocents: number) {
  const suspects = createSuspects();
  const all: One[] = Array.from({ length: innocents }, (_, n) => ({ name: `innocent ${n}`, harm: "none", offset: 1 }));
  all.splice(random.integer(innocents + 1), 0, { name: "guilty", harm, offset: 1 });
  let shared = new Activities();
  let hungSince: number | undefined;
  let hangsAt: number | undefined;
  let ends = 0;

  const isRunning = ({ name }: One) => suspects.convictionOf(name) === undefined;
  const deedOf = ({ offset }: One): Deed => ({ what: "call", through: offset });

  /** Its calls begin again in the next one. */
  function endProcess(since: number): void {
    ends++;
    const pings = { unansweredAt: since + 50, answeredAt: since - 10 };
    suspects.add({ death: "cpu", ...shared.hung(pings), last: shared.last, said: "" });
    shared = new Activities();
    hungSince = undefined;
    hangsAt = undefined;
    for (const one of all) delete one.call;
  }

  function beginBesideOthers(one: One, now: number): void {
    const activity = { suspect: one.name, deed: deedOf(one), sentAt: now, questions: 0, cpuMs: 450 };
    one.call = { endsAt: now + stepMs * (1 + random.integer(5)), over: shared.begin(activity) };
    if (one.harm === "hangs") hungSince ??= now;
  }

  function endCall(one: One, now: number): void {
    one.call?.over();
    delete one.call;
    one.offset++;
    if (one.harm === "leaves a loop behind") hangsAt ??= now + laterMs;
  }

  /** False where it has to wait for one, or is not worth one. */
  function hasRoom(one: One, now: number): boolean {
    if (one.room !== undefined) return true;
    const holdMs = suspects.holdMsOf(one.name);
    const isSlow = holdMs !== undefined;
    const taken = all.filter(({ room }) => room?.isSlow === isSlow).length;
    if (taken >= (isSlow ? roomsMax.slow : roomsMax.quick)) return false;
    one.room = { leaveAt: now + (isSlow ? Math.max(holdMs, 30_000) : 1_000), isSlow, hasActed: false };
    return true;
  }

  function actAlone(one: One, now: number): void {
    const { room } = one;
    if (room === undefined || room.doneAt !== undefined) return;
    if (!room.isSlow || !room.hasActed) room.leaveAt = now + (suspects.holdMsOf(one.name) ?? 1_000);
    room.hasActed = true;
    room.doneAt = now + stepMs;
    if (one.harm === "hangs") room.hangsAt ??= now + foundMs;
  }

  function stepAlone(one: One, now: number): void {
    const { room } = one;
    if (room === undefined) return;
    if (room.hangsAt !== undefined && now >= room.hangsAt) {
      suspects.endedAlone(one.name, "cpu", deedOf(one));
      delete one.room;
    } else if (room.doneAt !== undefined && now >= room.doneAt && one.harm !== "hangs") {
      delete room.doneAt;
      suspects.did(one.name, deedOf(one));
      one.offset++;
      if (one.harm === "leaves a loop behind") room.hangsAt ??= now + laterMs + foundMs;
      if (!suspects.isSuspect(one.name)) delete one.room;
    } else if (now >= room.leaveAt && room.hangsAt === undefined) {
      suspects.acquit(one.name);
      delete one.room;
    }
  }

  function step(now: number): void {
    if (hangsAt !== undefined && now >= hangsAt) hungSince ??= hangsAt;
    if (hungSince !== undefined && now - hungSince >= foundMs) endProcess(hungSince);
    for (const one of all.filter(isRunning)) {
      stepAlone(one, now);
      if (hungSince === undefined && one.call !== undefined && now >= one.call.endsAt) endCall(one, now);
      if (one.call !== undefined || random.integer(10) > 0) continue;
      const isAlone = suspects.isSuspect(one.name) && hasRoom(one, now);
      if (isAlone) actAlone(one, now);
      // Whoever is suspected of what shows at once waits for a room.
      else if (!suspects.isSuspect(one.name) || suspects.holdMsOf(one.name) !== undefined) beginBesideOthers(one, now);
    }
  }

  return {
    step,
    convicted: () => all.filter((one) => !isRunning(one)).map(({ name }) => name),
    ends: () => ends,
  };
}

test.each([
  ["hangs", 1, 1],
  ["hangs", 10, 1],
  ["hangs", 100, 1],
  ["leaves a loop behind", 1, 3],
  ["leaves a loop behind", 10, 6],
  ["leaves a loop behind", 50, 20],
] as const)("one that %s, beside %i: within %i ends", (harm, innocents, endsMax) => {
  const most: number[] = [];
  for (let seed = 1; seed <= 50; seed++) {
    const project = createProject(createSeededRandom(seed), harm, innocents);
    for (let steps = 0; steps < 20 * 600 && project.convicted().length === 0; steps++) {
      vi.advanceTimersByTime(stepMs);
      project.step(performance.now());
    }
    expect(project.convicted(), `seed ${seed}, after ${project.ends()} ends`).toEqual(["guilty"]);
    most.push(project.ends());
  }
  expect(Math.max(...most)).toBeLessThanOrEqual(endsMax);
});
