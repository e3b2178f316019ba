/** Where the driver reads, what it folds, what is missed and what may have begun. The tables are explained in their helper. */
import { expect, test } from "vitest";
import { eventAt, play, startOf } from "../test/driver-table.ts";
import { hear, nextStep, type Step } from "./driver.ts";
import { progressAt } from "./progress.ts";

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

test("what is only folded comes at once, up to the first event to act on", () => {
  const events = [1, 2, 3, 4, 5].map((offset) => ({ event: eventAt(offset), act: offset !== 5 }));
  let driver = startOf({ start: "first", progress: { cursor: 3 }, head: 5 });
  driver = hear(driver, { is: "scanned", through: 5, events });
  expect(offsetsOf(nextStep(driver, 0))).toEqual([1, 2, 3]);
  driver = hear(driver, { is: "folded", offset: 3 });
  expect(driver.waiting.map(({ event }) => event.offset)).toEqual([4, 5]);
  // One that is acted on is folded by itself, and still stands next.
  expect(offsetsOf(nextStep(driver, 0))).toEqual([4]);
  driver = hear(driver, { is: "folded", offset: 4 });
  expect(nextStep(driver, 0)).toMatchObject({ do: "act", event: { offset: 4 } });
  driver = hear(driver, { is: "returned" });
  expect(offsetsOf(nextStep(driver, 0))).toEqual([5]);
  driver = hear(driver, { is: "folded", offset: 5 });
  expect(driver).toMatchObject({ folded: 5, waiting: [], progress: { cursor: 5 } });
});

function offsetsOf(step: Step): number[] {
  if (step.do !== "fold") throw new Error(`expected to fold, got ${step.do}`);
  return step.events.map(({ offset }) => offset);
}

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
