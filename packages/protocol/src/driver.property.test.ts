/**
 * The driver against chance: a runner that answers each step properly, while events come, contact is lost, the stream
 * is paused, hooks fail and processes end without a word. Whatever happens, the cursor never passes an event that was
 * neither acted on, nor missed, nor only to be folded; the state is folded once, in order; what ended open work is told;
 * and in the end it rests.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Driver, type DriverSettings, hear, nextStep, type Step, startDriver } from "./driver.ts";
import type { StreamEvent } from "./event.ts";
import { type Progress, progressAt } from "./progress.ts";

type Chance =
  | "proper"
  | "fail"
  | "failFree"
  | "end"
  | "diverge"
  | "crash"
  | "stop"
  | "grow"
  | "away"
  | "pause"
  | "work"
  | "cut";

interface Plan {
  settings: DriverSettings;
  startAfter: number;
  /** Whether each event is acted on; the log grows by them. */
  log: boolean[];
  headAtStart: number;
  page: number;
  chances: Chance[];
}

const chance: fc.Arbitrary<Chance> = fc.constantFrom(
  ...(["proper", "proper", "proper", "fail", "failFree", "end", "diverge", "crash", "stop"] as const),
  ...(["grow", "grow", "away", "pause", "work", "cut"] as const),
);

const plan: fc.Arbitrary<Plan> = fc
  .record({
    settings: fc.record({ misses: fc.boolean(), decides: fc.boolean(), failuresMax: fc.integer({ min: 1, max: 5 }) }),
    log: fc.array(fc.boolean(), { minLength: 1, maxLength: 14 }),
    page: fc.integer({ min: 1, max: 5 }),
    chances: fc.array(chance, { maxLength: 80 }),
    at: fc.tuple(fc.nat(14), fc.nat(14)),
  })
  .map(({ at: [a, b], log, ...rest }) => {
    const [startAfter = 0, headAtStart = 0] = [a, b].map((n) => Math.min(n, log.length)).sort((x, y) => x - y);
    return { ...rest, log, startAfter, headAtStart };
  });

const stepsMax = 2_000;

class Run {
  readonly plan: Plan;
  driver: Driver;
  disk: Progress;
  head: number;
  now = 0;
  /** Offsets that the cursor may pass. */
  readonly done: Set<number> = new Set();
  halted = false;
  steps = 0;
  /** A failure or an unclean start happened, and is on disk only once it was saved. */
  #owedToDisk = false;
  /** Up to here events may have begun when a process ended. */
  #mayHaveBegun = 0;
  #works = 0;
  /** Names of work that was on disk as open, and those that afterCatchUp was told of. */
  readonly known: Set<string> = new Set();
  readonly told: Set<string> = new Set();

  constructor(plan: Plan) {
    this.plan = plan;
    this.head = plan.headAtStart;
    this.disk = progressAt(plan.startAfter);
    plan.log.forEach((act, i) => {
      if (!act || i < plan.startAfter) this.done.add(i + 1);
    });
    this.driver = this.#start("first");
  }

  get step(): Step {
    return nextStep(this.driver, this.now);
  }

  hear(heard: Parameters<typeof hear>[1]): void {
    const before = this.driver.progress.cursor;
    this.driver = hear(this.driver, heard);
    const { cursor } = this.driver.progress;
    expect(cursor, "cursors never go back").toBeGreaterThanOrEqual(before);
    for (let offset = before + 1; offset <= cursor; offset++) expect(this.done, `event ${offset}`).toContain(offset);
  }

  /** The process ends, and another one starts from what is on disk. */
  crash(exact: boolean): void {
    if (exact) this.disk = { ...this.driver.progress, exact: true };
    this.driver = this.#start("again");
    if (this.halted) this.hear({ is: "halted" });
    this.#owedToDisk = false;
    this.#mayHaveBegun = exact ? 0 : this.head;
  }

  #start(start: "first" | "again"): Driver {
    const { settings } = this.plan;
    if (settings.misses) this.#miss(this.disk.cursor, this.head);
    return startDriver(settings, { start, progress: this.disk, head: this.head, folded: 0 });
  }

  #miss(after: number, through: number): void {
    for (let offset = after + 1; offset <= through; offset++) this.done.add(offset);
  }

  happen(what: Chance): void {
    switch (what) {
      case "grow":
        this.head = Math.min(this.head + 1, this.plan.log.length);
        this.hear({ is: "head", head: this.head });
        return;
      case "away":
        if (this.plan.settings.misses) this.#miss(this.driver.progress.cursor, this.head);
        this.hear({ is: "away", head: this.head });
        return;
      case "pause":
        this.hear(this.driver.paused ? { is: "resumed" } : { is: "paused" });
        return;
      case "cut":
        for (const { name } of this.driver.progress.work) this.hear({ is: "workInterrupted", name });
        return;
      case "crash":
      case "stop":
        this.crash(what === "stop");
        return;
      default:
        this.perform(what);
    }
  }

  /** Does the next step; a hook comes to this end. */
  perform(end: Chance): void {
    expect(++this.steps, "steps").toBeLessThan(stepsMax);
    const { step } = this;
    switch (step.do) {
      case "rest":
        if (step.until !== undefined) this.now = step.until;
        return;
      case "scan":
        this.#scan(step.after, step.through);
        return;
      case "fold":
        expect(step.events.length, "something to fold").toBeGreaterThan(0);
        for (const [i, { offset }] of step.events.entries()) {
          expect(offset, "folded once, in order").toBe(this.driver.folded + 1 + i);
        }
        this.hear({ is: "folded", offset: this.driver.folded + step.events.length });
        return;
      case "save":
        this.disk = this.driver.progress;
        for (const { name } of this.disk.work) this.known.add(name);
        this.#owedToDisk = false;
        this.#mayHaveBegun = 0;
        this.hear({ is: "saved", progress: this.driver.progress });
        return;
      case "act":
        expect(this.driver.folded, "the state right behind the event").toBe(step.event.offset);
        expect(step.event.offset, "what comes first behind the cursor").toBeGreaterThan(this.driver.progress.cursor);
        this.#call(end, step.event.offset);
        return;
      case "catchUp":
        for (const { name } of step.interrupted?.work ?? []) this.told.add(name);
        this.#call(end, undefined);
        return;
      case "halt":
        this.halted = true;
        this.hear({ is: "halted" });
        return;
    }
  }

  #scan(after: number, through: number): void {
    expect(after, "no range is read twice").toBe(this.driver.scanned);
    expect(through).toBeGreaterThan(after);
    const last = Math.min(after + this.plan.page, through);
    const events = [];
    for (let offset = after + 1; offset <= last; offset++) {
      events.push({ event: eventAt(offset), act: this.plan.log[offset - 1] === true });
    }
    this.hear({ is: "scanned", through: last, events });
  }

  #call(end: Chance, offset: number | undefined): void {
    expect(this.driver.paused || this.driver.halted, "nothing is called while paused or halted").toBe(false);
    expect(this.#owedToDisk, "on disk before it is called").toBe(false);
    if (offset !== undefined) expect(offset, "on disk that it may have begun").toBeGreaterThan(this.#mayHaveBegun);
    const { now } = this;
    switch (end) {
      case "fail":
      case "failFree":
        this.#owedToDisk = true;
        this.hear({ is: "failed", message: "no", now, jitter: 0.5, costs: end === "fail" });
        return;
      case "end":
        this.hear({ is: "paused" });
        this.hear({ is: "ended" });
        return;
      case "work":
        this.hear({ is: "workOpened", work: { name: `work ${++this.#works}`, offset: offset ?? 0 } });
        break;
      case "diverge":
        if (offset !== undefined) this.done.add(offset);
        this.hear({ is: "diverged" });
        return;
    }
    if (offset !== undefined) this.done.add(offset);
    this.hear({ is: "returned" });
  }
}

function eventAt(offset: number): StreamEvent {
  return { streamPath: "/s", offset, type: "t", payload: {}, createdAt: "2026-01-01T00:00:00.000Z" };
}

test("whatever happens, nothing is passed over, everything is on disk in time, and in the end it rests", () => {
  fc.assert(
    fc.property(plan, (plan) => {
      const run = new Run(plan);
      for (const what of plan.chances) run.happen(what);
      if (run.driver.paused) run.hear({ is: "resumed" });
      run.head = plan.log.length;
      run.hear({ is: "head", head: run.head });
      for (let { step } = run; step.do !== "rest" || step.until !== undefined; { step } = run) run.perform("proper");
      if (run.halted) return;
      expect(run.driver.progress.cursor, "all is acted on").toBe(run.head);
      expect(run.driver.progress.catchUp, "and decided").toBeUndefined();
      expect(run.driver.waiting).toEqual([]);
      for (const { name } of run.driver.progress.work) run.told.add(name);
      expect(
        [...run.known].filter((name) => !run.told.has(name)),
        "work ended, and nobody was told",
      ).toEqual([]);
    }),
    { numRuns: 1_500 },
  );
});
