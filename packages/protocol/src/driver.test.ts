/**
 * The driver's decisions as tables: what is heard on the left, the step that follows on the right. An empty left side
 * asks for the step without anything having been heard. `(4)` in a range that was read is an event that is only to be
 * folded; times are milliseconds since the start.
 */
import { expect, test } from "vitest";
import { type Driver, type DriverSettings, type Heard, hear, nextStep, type Step, startDriver } from "./driver.ts";
import type { StreamEvent } from "./event.ts";
import { type Progress, progressAt } from "./progress.ts";

interface Start extends Partial<DriverSettings> {
  start?: "first" | "version" | "again";
  progress?: Partial<Progress>;
  head: number;
  folded?: number;
  /** Nothing of a first start is on disk yet. Otherwise tables begin behind that. */
  unsaved?: true;
}

function startOf({ start = "again", progress = {}, head, folded = 0, unsaved, ...settings }: Start): Driver {
  const full = { misses: false, decides: false, failuresMax: 5, ...settings };
  const driver = startDriver(full, { start, progress: { ...progressAt(0), ...progress }, head, folded });
  return start === "again" || unsaved ? driver : hear(driver, { is: "saved", progress: driver.progress });
}

/** Plays a table; answers the driver at its end. */
function play(start: Start, table: string): Driver {
  let driver = startOf(start);
  let now = 0;
  for (const line of table.trim().split("\n")) {
    const [left = "", right = ""] = line.split("->").map((text) => text.trim());
    if (left.startsWith("at ")) now = Number(left.slice(3));
    else if (left !== "") driver = hear(driver, heardOf(left, driver, now));
    expect(textOf(nextStep(driver, now)), line.trim()).toBe(right);
  }
  return driver;
}

function heardOf(text: string, driver: Driver, now: number): Heard {
  const [word = "", ...words] = text.split(" ");
  const rest = words.join(" ");
  switch (word) {
    case "head":
    case "away":
      return { is: word, head: Number(rest) };
    case "read": {
      const [through, events = ""] = rest.split(":");
      return {
        is: "scanned",
        through: Number(through),
        events: events.trim().split(" ").filter(Boolean).map(delivered),
      };
    }
    case "folded":
      return { is: "folded", offset: Number(rest) };
    case "foldFailed":
      return { is: "foldFailed", offset: Number(words[0]), message: words.slice(1).join(" ") };
    case "saved":
      return { is: "saved", progress: driver.progress };
    case "failed":
      return { is: "failed", message: rest, now, jitter: 0, costs: true };
    case "failedFree":
      return { is: "failed", message: rest, now, jitter: 0, costs: false };
    case "opened":
      return { is: "workOpened", work: { name: words[0] as string, offset: Number(words[1]) } };
    case "closed":
      return { is: "workClosed", name: rest };
    case "returned":
    case "ended":
    case "diverged":
    case "due":
    case "paused":
    case "resumed":
    case "halted":
      return { is: word };
    default:
      throw new Error(`nobody says "${text}"`);
  }
}

function delivered(text: string): { event: StreamEvent; act: boolean } {
  return { event: eventAt(Number(text.replace(/[()]/g, ""))), act: !text.startsWith("(") };
}

function eventAt(offset: number): StreamEvent {
  return { streamPath: "/s", offset, type: "t", payload: {}, createdAt: "2026-01-01T00:00:00.000Z" };
}

function textOf(step: Step): string {
  switch (step.do) {
    case "scan":
      return `scan ${step.after}-${step.through}`;
    case "fold":
      return `fold ${step.event.offset}`;
    case "act":
      return `act ${step.event.offset} #${step.attempt}`;
    case "catchUp": {
      const { missed, interrupted, attempt } = step;
      const begun = interrupted?.offset === undefined ? "" : ` ${interrupted.offset}`;
      const work = interrupted?.work.map(({ name, offset }) => ` ${name}@${offset}`).join("") ?? "";
      return `catchUp${missed ? ` missed ${missed.after}-${missed.through}` : ""}${interrupted ? ` interrupted${begun}${work}` : ""} #${attempt}`;
    }
    case "halt":
      return `halt ${step.offset} x${step.attempts}: ${step.message}`;
    case "save":
      return "save";
    case "rest":
      return step.until === undefined ? "rest" : `rest until ${step.until}`;
  }
}

test("history is folded, and what comes behind the start is acted on, one event after another", () => {
  const driver = play(
    { start: "first", progress: { cursor: 2 }, head: 2 },
    `
                      -> rest
    head 4            -> scan 0-4
    read 4: 1 2 3 4   -> fold 1
    folded 1          -> fold 2
    folded 2          -> fold 3
    folded 3          -> act 3 #1
    returned          -> fold 4
    folded 4          -> act 4 #1
    returned          -> rest
    `,
  );
  expect(driver.progress).toEqual(progressAt(4));
  expect(driver.dirty).toBe(true);
});

test("a start at the beginning acts on history", () => {
  play(
    { start: "first", head: 2 },
    `
                  -> scan 0-2
    read 2: 1 2   -> fold 1
    folded 1      -> act 1 #1
    returned      -> fold 2
    folded 2      -> act 2 #1
    returned      -> rest
    `,
  );
});

test("a log is read in ranges, from the end of each; a range without anything moves the cursor and is no reason to save", () => {
  const driver = play(
    { start: "first", head: 9 },
    `
                -> scan 0-9
    read 4:     -> scan 4-9
    read 7: 6   -> fold 6
    folded 6    -> act 6 #1
    returned    -> scan 7-9
    saved       -> scan 7-9
    read 9:     -> rest
    `,
  );
  expect(driver.progress.cursor).toBe(9);
  expect(driver.folded).toBe(9);
  expect(driver.dirty).toBe(false);
});

test("a range that ends before the event that is waited for does not let the cursor pass it", () => {
  const driver = play(
    { start: "first", head: 9 },
    `
    read 5: 3 4   -> fold 3
    folded 3      -> act 3 #1
    head 12       -> act 3 #1
    returned      -> fold 4
    `,
  );
  expect(driver.progress.cursor).toBe(3);
});

test("events that are only to be folded are folded in their order, and never acted on", () => {
  const driver = play(
    { start: "first", head: 4 },
    `
    read 4: (1) 2 (3) (4)  -> fold 1
    folded 1               -> fold 2
    folded 2               -> act 2 #1
    returned               -> fold 3
    folded 3               -> fold 4
    folded 4               -> rest
    `,
  );
  expect(driver.progress.cursor).toBe(4);
});

test("a state that is folded up to somewhere is not folded again up to there", () => {
  play(
    { progress: { cursor: 5, exact: true }, head: 7, folded: 4 },
    `
                  -> scan 4-7
    read 7: 5 6 7 -> fold 5
    folded 5      -> save
    saved         -> fold 6
    folded 6      -> act 6 #1
    `,
  );
});

test("with nothing behind the cursor the log is not read", () => {
  play({ progress: { cursor: 7, exact: true }, head: 7 }, "-> rest");
  play({ progress: { cursor: 7 }, head: 7 }, "-> rest");
});

test("a first start with afterCatchUp decides once, over the history", () => {
  const driver = play(
    { start: "first", decides: true, progress: { cursor: 2 }, head: 2 },
    `
                -> scan 0-2
    read 2: 1 2 -> fold 1
    folded 1    -> fold 2
    folded 2    -> catchUp #1
    head 3      -> scan 2-3
    read 3: 3   -> catchUp #1
    returned    -> save
    saved       -> fold 3
    folded 3    -> act 3 #1
    returned    -> rest
    `,
  );
  expect(driver.progress).toEqual({ ...progressAt(3), decided: 1 });
});

test.each(["first", "version"] as const)("a %s start is on disk before anything is called", (start) => {
  const table = (step: string) => `
                -> scan 1-2
    read 2: 2   -> save
    saved       -> ${step}
  `;
  play({ start, unsaved: true, progress: { cursor: 1, exact: true }, head: 2, folded: 1 }, table("fold 2"));
  play(
    { start, unsaved: true, decides: true, progress: { cursor: 1, exact: true }, head: 2, folded: 1 },
    table("catchUp #1"),
  );
});

test("a mere restart does not decide; a new version does, and keeps its cursor", () => {
  play({ decides: true, progress: { cursor: 2, exact: true }, head: 2 }, "-> rest");
  play(
    { start: "version", decides: true, progress: { cursor: 2, exact: true }, head: 3 },
    `
                  -> scan 0-3
    read 3: 1 2 3 -> fold 1
    folded 1      -> fold 2
    folded 2      -> catchUp #1
    returned      -> save
    saved         -> fold 3
    folded 3      -> act 3 #1
    `,
  );
});

test("what is missed is folded, decided on once at its end, and not acted on", () => {
  const driver = play(
    { decides: true, misses: true, progress: { cursor: 2, exact: true }, head: 4, folded: 2 },
    `
                  -> scan 2-4
    read 4: 3 4   -> fold 3
    folded 3      -> fold 4
    head 5        -> fold 4
    folded 4      -> scan 4-5
    read 5: 5     -> save
    saved         -> catchUp missed 2-4 #1
    returned      -> save
    saved         -> fold 5
    folded 5      -> act 5 #1
    `,
  );
  expect(driver.progress.cursor).toBe(4);
});

test("without afterCatchUp what is missed is folded alone", () => {
  play(
    { misses: true, progress: { cursor: 2, exact: true }, head: 4, folded: 2 },
    `
    read 4: 3 4   -> fold 3
    folded 3      -> fold 4
    folded 4      -> rest
    head 5        -> scan 4-5
    read 5: 5     -> save
    saved         -> fold 5
    folded 5      -> act 5 #1
    `,
  );
});

test("without afterCatchUp a missed event that had begun is no attempt for the next one", () => {
  play(
    { misses: true, progress: { cursor: 2 }, head: 4, folded: 2 },
    `
    read 4: 3 4   -> fold 3
    folded 3      -> fold 4
    head 5        -> fold 4
    folded 4      -> scan 4-5
    read 5: 5     -> fold 5
    folded 5      -> act 5 #1
    `,
  );
});

test("an end in the middle of catching up misses the same range again, and more", () => {
  const missed = { after: 2, through: 4 };
  play(
    { decides: true, misses: true, progress: { cursor: 4, exact: true, catchUp: { missed } }, head: 6, folded: 4 },
    `
    read 6: 5 6   -> fold 5
    folded 5      -> fold 6
    folded 6      -> save
    saved         -> catchUp missed 2-6 #1
    returned      -> rest
    `,
  );
});

test("an absence while it ran: what came meanwhile is missed, what was waiting too, and nothing is folded twice", () => {
  play(
    { decides: true, misses: true, start: "first", progress: { cursor: 2 }, head: 2, folded: 2 },
    `
                  -> catchUp #1
    returned      -> rest
    head 4        -> scan 2-4
    read 4: 3 4   -> save
    saved         -> fold 3
    folded 3      -> act 3 #1
    failed why    -> save
    saved         -> rest until 1000
    away 6        -> fold 4
    folded 4      -> scan 4-6
    read 6: 5 6   -> fold 5
    folded 5      -> fold 6
    folded 6      -> rest until 1000
    at 1000       -> catchUp missed 2-6 #2
    returned      -> rest
    head 7        -> scan 6-7
    read 7: 7     -> save
    saved         -> fold 7
    folded 7      -> act 7 #1
    `,
  );
});

test("an absence in which nothing came, or of one that never misses, is nothing but a head", () => {
  play({ decides: true, misses: true, progress: { cursor: 2, exact: true }, head: 2 }, "away 2 -> rest");
  play(
    { decides: true, progress: { cursor: 2, exact: true }, head: 2, folded: 2 },
    `
    away 3        -> scan 2-3
    read 3: 3     -> save
    saved         -> fold 3
    folded 3      -> act 3 #1
    `,
  );
});

test("after an unclean end the next event may have begun: a second attempt, on disk first, and decided on before", () => {
  const driver = play(
    { decides: true, progress: { cursor: 2 }, head: 3, folded: 2 },
    `
                  -> scan 2-3
    read 3: 3     -> save
    saved         -> catchUp interrupted 3 #1
    returned      -> save
    saved         -> fold 3
    folded 3      -> act 3 #2
    `,
  );
  expect(driver.progress.crashes).toBe(1);
});

test("without afterCatchUp it is a second attempt all the same", () => {
  play(
    { progress: { cursor: 2 }, head: 4, folded: 2 },
    `
    read 4: (3) 4 -> fold 3
    folded 3      -> save
    saved         -> fold 4
    folded 4      -> act 4 #2
    returned      -> rest
    head 5        -> scan 4-5
    read 5: 5     -> fold 5
    folded 5      -> act 5 #1
    `,
  );
});

test("an unclean end with nothing to act on behind the cursor interrupted nothing", () => {
  play({ decides: true, progress: { cursor: 2 }, head: 2 }, "-> rest");
  play(
    { decides: true, progress: { cursor: 2 }, head: 4, folded: 2 },
    `
    read 4: (3)   -> fold 3
    folded 3      -> rest
    head 5        -> scan 4-5
    read 5: 5     -> fold 5
    folded 5      -> act 5 #1
    `,
  );
});

test("an event that may have begun is found also where the first range has nothing to act on", () => {
  play(
    { progress: { cursor: 2 }, head: 4, folded: 2 },
    `
    read 3: (3)   -> fold 3
    folded 3      -> scan 3-4
    read 4: 4     -> save
    saved         -> fold 4
    folded 4      -> act 4 #2
    `,
  );
});

test("what was missed after an unclean end is named as interrupted, and the attempts of it are not those of the next", () => {
  play(
    { decides: true, misses: true, progress: { cursor: 2 }, head: 4, folded: 2 },
    `
    read 4: 3 4   -> fold 3
    folded 3      -> fold 4
    folded 4      -> save
    saved         -> catchUp missed 2-4 interrupted 3 #1
    returned      -> rest
    head 5        -> scan 4-5
    read 5: 5     -> save
    saved         -> fold 5
    folded 5      -> act 5 #1
    `,
  );
});

test("after an orderly end it is known what had begun; the exact count is spent by the first call", () => {
  const driver = play(
    { decides: true, progress: { cursor: 2, exact: true }, head: 3, folded: 2 },
    `
    read 3: 3     -> save
    saved         -> fold 3
    folded 3      -> act 3 #1
    `,
  );
  expect(driver.progress.exact).toBeUndefined();
});

test("an attempt that an orderly end ended is named, and costs nothing", () => {
  const driver = play(
    { decides: true, progress: { cursor: 2, begun: 1, exact: true }, head: 3, folded: 2 },
    `
    read 3: 3     -> save
    saved         -> catchUp interrupted 3 #1
    returned      -> save
    saved         -> fold 3
    folded 3      -> act 3 #2
    `,
  );
  expect(driver.progress).toMatchObject({ failures: 0, crashes: 0 });
});

test("the ladder: a second, doubled each time, each attempt on disk before it is made, then halted", () => {
  play(
    { start: "first", head: 1 },
    `
    read 1: 1     -> fold 1
    folded 1      -> act 1 #1
    failed no     -> save
    saved         -> rest until 1000
    at 999        -> rest until 1000
    at 1000       -> act 1 #2
    failed no     -> save
    saved         -> rest until 3000
    at 3000       -> act 1 #3
    failed no     -> save
    saved         -> rest until 7000
    at 7000       -> act 1 #4
    failed no     -> save
    saved         -> rest until 15000
    at 15000      -> act 1 #5
    failed at last -> halt 1 x5: at last
    halted        -> rest
    head 9        -> rest
    resumed       -> rest
    `,
  );
});

test.each([
  [1, 0, 1_000],
  [1, 1, 1_250],
  [2, 0.5, 2_250],
  [12, 0, 2_048_000],
  [13, 0, 3_600_000],
  [40, 1, 4_500_000],
])("the delay after failure %i with jitter %f is %i ms", (failures, jitter, delay) => {
  let driver = startOf({ start: "first", head: 1, failuresMax: 100 });
  driver = hear(driver, { is: "scanned", through: 1, events: [delivered("1")] });
  driver = hear(driver, { is: "folded", offset: 1 });
  for (let i = 1; i < failures; i++) driver = hear(driver, { is: "failed", message: "", now: 0, jitter, costs: true });
  driver = hear(driver, { is: "failed", message: "", now: 5, jitter, costs: true });
  expect(driver.progress).toMatchObject({ failures, nextAttemptAt: 5 + delay });
});

test("a success ends the ladder", () => {
  const driver = play(
    { start: "first", head: 2 },
    `
    read 2: 1 2   -> fold 1
    folded 1      -> act 1 #1
    failed no     -> save
    saved         -> rest until 1000
    at 1000       -> act 1 #2
    returned      -> fold 2
    folded 2      -> act 2 #1
    failed no     -> save
    saved         -> rest until 2000
    `,
  );
  expect(driver.progress).toEqual({ ...progressAt(1), begun: 1, failures: 1, nextAttemptAt: 2_000, lastError: "no" });
});

test("what costs nothing waits on the same ladder, and is never halted for it", () => {
  let driver = play(
    { start: "first", head: 1 },
    `
    read 1: 1      -> fold 1
    folded 1       -> act 1 #1
    failedFree off -> save
    saved          -> rest until 1000
    due            -> act 1 #2
    failedFree off -> save
    saved          -> rest until 2000
    at 2000        -> act 1 #3
    `,
  );
  for (let i = 0; i < 100; i++) {
    driver = hear(driver, { is: "failed", message: "off", now: 0, jitter: 0, costs: false });
  }
  expect(nextStep(hear(driver, { is: "due" }), 0)).toMatchObject({ do: "save" });
  expect(driver.progress).toMatchObject({ failures: 0, nextAttemptAt: 3_600_000 });
});

test("an afterCatchUp that fails has a ladder of its own: it costs the next event nothing", () => {
  const driver = play(
    { start: "first", decides: true, head: 1 },
    `
    read 1: 1     -> catchUp #1
    failed no     -> save
    saved         -> rest until 1000
    at 1000       -> catchUp #2
    returned      -> save
    saved         -> fold 1
    folded 1      -> act 1 #1
    `,
  );
  expect(driver.progress.lastError).toBeUndefined();
  play(
    { start: "first", decides: true, failuresMax: 1, progress: { cursor: 1 }, head: 1, folded: 1 },
    `
                  -> catchUp #1
    failed why    -> halt 1 x1: why
    `,
  );
});

test("a restart goes on with the ladder, at the time that is on disk", () => {
  const progress = { cursor: 1, begun: 2, failures: 2, nextAttemptAt: 9_000, lastError: "no", exact: true as const };
  play(
    { progress, head: 2, folded: 1 },
    `
    read 2: 2     -> save
    saved         -> rest until 9000
    at 9000       -> fold 2
    folded 2      -> act 2 #3
    `,
  );
});

test("an event that takes its process with it fifteen times is taken for the reason", () => {
  let progress: Progress = progressAt(1);
  for (let crash = 1; crash < 15; crash++) {
    const driver = play({ progress, head: 2, folded: 1 }, "read 2: 2 -> save");
    expect(driver.progress).toMatchObject({ begun: crash, crashes: crash, failures: 0 });
    ({ progress } = driver);
  }
  play(
    { progress, head: 2, folded: 1 },
    `
    read 2: 2     -> halt 2 x15: The process ended every time that this event was acted on.
    halted        -> rest
    `,
  );
});

test("a pause: nothing is read, folded or called; what was ended costs nothing and is called again", () => {
  const driver = play(
    { start: "first", head: 2 },
    `
    read 2: 1 2   -> fold 1
    paused        -> rest
    resumed       -> fold 1
    folded 1      -> act 1 #1
    paused        -> rest
    ended         -> save
    saved         -> rest
    head 3        -> rest
    resumed       -> act 1 #2
    returned      -> fold 2
    folded 2      -> act 2 #1
    `,
  );
  expect(driver.progress).toMatchObject({ failures: 0, crashes: 0 });
});

test("a start on a paused stream does nothing until it is resumed", () => {
  const driver = startOf({ decides: true, progress: { cursor: 1 }, head: 3 });
  const paused = hear(driver, { is: "paused" });
  expect(textOf(nextStep(paused, 0))).toBe("rest");
  expect(textOf(nextStep(hear(paused, { is: "resumed" }), 0))).toBe("scan 0-3");
});

test("a hook that does not do again what it did counts as done, and is decided on", () => {
  const table = (step: string) => `
    read 2: 1 2   -> fold 1
    folded 1      -> act 1 #1
    diverged      -> ${step}
  `;
  expect(play({ start: "first", head: 2 }, table("fold 2")).progress.cursor).toBe(1);
  const start = { decides: true, progress: { cursor: 0 }, head: 2 };
  play(
    start,
    `
    read 2: 1 2   -> save
    saved         -> catchUp interrupted 1 #1
    returned      -> save
    saved         -> fold 1
    folded 1      -> act 1 #2
    diverged      -> catchUp interrupted 1 #1
    returned      -> save
    saved         -> fold 2
    `,
  );
});

test("an afterCatchUp that diverges counts as done: it is not asked about itself", () => {
  play(
    { decides: true, progress: { cursor: 0 }, head: 1 },
    `
    read 1: 1     -> save
    saved         -> catchUp interrupted 1 #1
    diverged      -> save
    saved         -> fold 1
    folded 1      -> act 1 #2
    `,
  );
});

test("open work is listed until it is closed, and does not hold up the cursor", () => {
  const driver = play(
    { start: "first", head: 2 },
    `
    read 2: 1 2   -> fold 1
    folded 1      -> act 1 #1
    opened call 1 -> save
    saved         -> act 1 #1
    returned      -> fold 2
    folded 2      -> act 2 #1
    returned      -> rest
    `,
  );
  expect(driver.progress).toMatchObject({ cursor: 2, work: [{ name: "call", offset: 1 }] });
  expect(hear(driver, { is: "workClosed", name: "call" }).progress.work).toEqual([]);
});

test("work that was open at the end is interrupted, also after an orderly one, and spent for the hook that began it", () => {
  const work = [
    { name: "old", offset: 1 },
    { name: "new", offset: 2 },
  ];
  const driver = play(
    { decides: true, progress: { cursor: 1, exact: true, work }, head: 2, folded: 1 },
    `
    read 2: 2     -> save
    saved         -> catchUp interrupted old@1 new@2 #1
    returned      -> save
    saved         -> fold 2
    folded 2      -> act 2 #1
    `,
  );
  expect(driver.progress).toMatchObject({ work: [], spent: [{ name: "new", offset: 2 }] });
  expect(hear(driver, { is: "returned" }).progress).toEqual({ ...progressAt(2), decided: 1 });
});

test("work is interrupted also where nothing stands behind the cursor, and where nobody decides", () => {
  const work = [{ name: "call", offset: 1 }];
  for (const decides of [true, false]) {
    play(
      { decides, progress: { cursor: 1, work }, head: 1, folded: 1 },
      `
                  -> catchUp interrupted call@1 #1
      returned    -> rest
      `,
    );
  }
});

test("a reducer that throws is deterministic: halted at that event at once", () => {
  play(
    { start: "first", head: 3 },
    `
    read 3: 1 2 3          -> fold 1
    folded 1               -> act 1 #1
    returned               -> fold 2
    foldFailed 2 no such   -> halt 2 x1: no such
    head 4                 -> halt 2 x1: no such
    halted                 -> rest
    `,
  );
});

test("progress that changed while it was being saved is still to be saved", () => {
  const driver = play({ start: "first", head: 1 }, "read 1: 1 -> fold 1");
  const saving = driver.progress;
  const acted = hear(hear(driver, { is: "folded", offset: 1 }), { is: "returned" });
  expect(hear(acted, { is: "saved", progress: saving }).dirty).toBe(true);
  expect(hear(acted, { is: "saved", progress: acted.progress }).dirty).toBe(false);
});

test("hearing changes nothing that was there before", () => {
  const before = startOf({ start: "first", head: 1 });
  const copy = structuredClone(before);
  hear(hear(before, { is: "scanned", through: 1, events: [delivered("1")] }), { is: "folded", offset: 1 });
  hear(before, { is: "failed", message: "no", now: 0, jitter: 0, costs: true });
  expect(before).toEqual(copy);
});
