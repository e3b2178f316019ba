/** What becomes of the driver's calls: the ladder, pauses, divergence, open work, halts. Tables as in driver.test.ts. */
import { expect, test } from "vitest";
import { delivered, play, startOf, textOf } from "../test/driver-table.ts";
import { hear, nextStep } from "./driver.ts";
import { type Progress, progressAt } from "./progress.ts";

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
    due            -> save
    saved          -> act 1 #2
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
    resumed       -> save
    saved         -> fold 1
    folded 1      -> act 1 #1
    paused        -> rest
    ended         -> save
    saved         -> rest
    head 3        -> rest
    resumed       -> save
    saved         -> act 1 #2
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
                  -> save
      saved       -> catchUp interrupted call@1 #1
      returned    -> rest
      `,
    );
  }
});

test("work that a pause cut short is decided on before the first call behind it, and told once", () => {
  const driver = play(
    { decides: true, head: 2, progress: { cursor: 2, decided: 1 }, folded: 2 },
    `
    opened call 2 -> rest
    paused        -> save
    cut call      -> save
    saved         -> rest
    head 4        -> rest
    resumed       -> scan 2-4
    read 4: 3 4   -> save
    saved         -> catchUp interrupted call@2 #1
    returned      -> save
    saved         -> fold 3
    folded 3      -> act 3 #1
    cut call      -> act 3 #1
    `,
  );
  expect(driver.progress).toMatchObject({ cursor: 2, work: [], decided: 2 });
});

test("work of a call that the same pause ended is spent, and that call is named with it", () => {
  const driver = play(
    { decides: true, head: 1, progress: { exact: true } },
    `
    read 1: 1     -> save
    saved         -> fold 1
    folded 1      -> act 1 #1
    opened call 1 -> save
    paused        -> save
    ended         -> save
    cut call      -> save
    saved         -> rest
    resumed       -> save
    saved         -> catchUp interrupted 1 call@1 #1
    failed no     -> save
    saved         -> rest until 1000
    at 1000       -> catchUp interrupted 1 call@1 #2
    returned      -> save
    saved         -> act 1 #2
    `,
  );
  expect(driver.progress).toMatchObject({ work: [], spent: [{ name: "call", offset: 1 }] });
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
