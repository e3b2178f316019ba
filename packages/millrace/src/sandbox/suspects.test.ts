import { beforeEach, describe, expect, test } from "vitest";
import { type Activity, type Death, suspectsAmong } from "./activity.ts";
import { createSuspects, type Suspects } from "./suspects.ts";

const activity = (suspect: string, part: Partial<Activity> = {}): Activity => ({
  suspect,
  deed: { what: "call", through: 7 },
  sentAt: 0,
  questions: 0,
  cpuMs: 450,
  ...part,
});

const end = (death: Death, suspects: Activity[], others: Activity[] = []) => ({
  ...{ death, suspects, others, said: "" },
  last: [],
});

let suspects: Suspects;
beforeEach(() => {
  suspects = createSuspects();
});

describe("who is looked at first", () => {
  const pings = { unansweredAt: 100, answeredAt: 50 };

  test("what was sent behind an unanswered ping never ran, and whoever waits does not run", () => {
    const late = activity("late", { sentAt: 200 });
    const waiting = activity("waiting", { sentAt: 60, questions: 1 });
    const running = activity("running", { sentAt: 70 });
    expect(suspectsAmong([late, waiting, running], pings)).toEqual([running]);
    expect(suspectsAmong([late, waiting], pings)).toEqual([waiting]);
  });

  test("the first that was sent behind the last answer is the likeliest", () => {
    const old = activity("old", { sentAt: 10 });
    const first = activity("first", { sentAt: 60 });
    const second = activity("second", { sentAt: 80 });
    expect(suspectsAmong([old, second, first], pings)).toEqual([first, second, old]);
  });
});

test("one that computed alone is convicted, and the message says at what; where others live it is only suspected", () => {
  suspects.add(end("cpu", [activity("a")]));
  expect(suspects.convictionOf("a")).toBeUndefined();
  suspects.endedAlone("a", "cpu", { what: "call", through: 7 });
  expect(suspects.convictionOf("a")).toMatch(/^While it acted on event 7, it computed for too long/);
});

test("one of several is a suspect until it has done the same alone", () => {
  suspects.add(end("cpu", [activity("a"), activity("b")]));
  expect([suspects.isSuspect("a"), suspects.rankOf("a"), suspects.rankOf("b")]).toEqual([true, 0, 1]);
  suspects.did("a", { what: "fold", through: 9 });
  suspects.did("a", { what: "call", through: 6 });
  expect(suspects.isSuspect("a")).toBe(true);
  suspects.did("a", { what: "call", through: 7 });
  expect(suspects.isSuspect("a")).toBe(false);
  expect(suspects.isSuspect("b")).toBe(true);
});

test("what waited is a suspect when it happens again, and those of another project never are", () => {
  suspects.add(end("crash", [activity("a")], [activity("waiting")]));
  expect(suspects.isSuspect("waiting")).toBe(false);
  createSuspects().add(end("crash", [activity("a")], [activity("waiting")]));
  expect(suspects.isSuspect("waiting")).toBe(false);
  suspects.add(end("crash", [activity("a")], [activity("waiting")]));
  expect(suspects.isSuspect("waiting")).toBe(true);
});

test("a process that ends by itself may be somebody else's doing: three times are needed", () => {
  suspects.add(end("crash", [activity("a"), activity("b")]));
  const deed = { what: "call", through: 7 } as const;
  suspects.endedAlone("a", "crash", deed);
  suspects.endedAlone("a", "crash", deed);
  expect(suspects.convictionOf("a")).toBeUndefined();
  suspects.endedAlone("a", "crash", deed);
  expect(suspects.convictionOf("a")).toMatch(/event 7, it ended the process/);
  suspects.endedAlone("b", "memory", deed);
  expect(suspects.convictionOf("b")).toMatch(/took more memory/);
});

test("once one is convicted, the others of the same end are let go, and those of another are not", () => {
  suspects.add(end("cpu", [activity("early"), activity("two")]));
  suspects.add(end("cpu", [activity("a"), activity("b"), activity("c")]));
  suspects.endedAlone("b", "cpu", { what: "call", through: 7 });
  expect(["a", "b", "c", "early", "two"].map((who) => suspects.isSuspect(who))).toEqual([
    false,
    false,
    false,
    true,
    true,
  ]);
});

test("who was stopped by us suspects nobody", () => {
  suspects.add(end("stopped", [activity("a")], [activity("b")]));
  expect([suspects.isSuspect("a"), suspects.convictionOf("a")]).toEqual([false, undefined]);
});

test("whoever is to run again after a conviction does so as a suspect", () => {
  suspects.endedAlone("a", "cpu", { what: "call", through: 7 });
  suspects.tryAgain("a");
  expect([suspects.isSuspect("a"), suspects.convictionOf("a")]).toEqual([true, undefined]);
});

describe("one that may have left something behind", () => {
  const now = () => performance.now();
  const behind = (death: Death, running: string[], last: string[]) => ({
    ...end(
      death,
      running.map((suspect) => activity(suspect, { sentAt: now() })),
    ),
    last: last.map((suspect) => activity(suspect, { sentAt: now() })),
  });
  const done = { what: "call", through: 7 } as const;

  test("is no suspect at first where others ran, and is one when it comes again and they were let go", () => {
    suspects.add(behind("cpu", ["a"], ["a", "hidden"]));
    expect([suspects.isSuspect("a"), suspects.isSuspect("hidden")]).toEqual([true, false]);
    suspects.did("a", done);
    suspects.add(behind("cpu", ["a"], ["a", "hidden"]));
    expect([suspects.holdMsOf("a"), suspects.holdMsOf("hidden")]).toEqual([5_000, 5_000]);
  });

  test("is not whoever was let go because another was convicted: it has shown nothing yet", () => {
    suspects.add(behind("cpu", ["a", "b"], ["a", "b"]));
    suspects.endedAlone("a", "cpu", done);
    // Its cell ends.
    suspects.acquit("b");
    suspects.add(behind("cpu", ["b"], ["a", "b"]));
    expect([suspects.isSuspect("b"), suspects.holdMsOf("b")]).toEqual([true, undefined]);
  });

  test("is one at once where nobody ran", () => {
    suspects.add(behind("cpu", [], ["hidden"]));
    expect(suspects.holdMsOf("hidden")).toBe(5_000);
  });

  test("is not let go for having done it again, and is held for longer each time that it was cleared", () => {
    for (const holdMs of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
      suspects.add(behind("cpu", [], ["hidden"]));
      suspects.did("hidden", done);
      expect(suspects.holdMsOf("hidden")).toBe(holdMs);
      suspects.acquit("hidden");
    }
  });

  test("comes behind those who were cleared less often; eight at a time", () => {
    const many = Array.from({ length: 9 }, (_, n) => `n${n}`);
    suspects.add(behind("cpu", [], ["often"]));
    suspects.acquit("often");
    suspects.add(behind("cpu", [], [...many, "often"]));
    expect(many.filter((who) => suspects.isSuspect(who))).toHaveLength(8);
    expect(suspects.isSuspect("often")).toBe(false);
  });

  test("is not thought of when it ran last half a minute ago, nor for what it did when it was loaded", () => {
    const old = activity("old", { sentAt: now() - 31_000 });
    const loaded = activity("loaded", { sentAt: now(), deed: { what: "load", through: 0 } });
    suspects.add({ ...end("cpu", []), last: [old, loaded] });
    expect([suspects.isSuspect("old"), suspects.isSuspect("loaded")]).toEqual([false, false]);
  });

  test("hears what it did last, and is held again when it is to run again", () => {
    suspects.add(behind("cpu", [], ["hidden"]));
    suspects.endedAlone("hidden", "cpu", done);
    expect(suspects.convictionOf("hidden")).toMatch(/event 7, it computed for too long/);
    suspects.tryAgain("hidden");
    expect(suspects.holdMsOf("hidden")).toBe(5_000);
  });
});

describe("one that may burn", () => {
  test("is not let go for having done it again, and hears what it did", () => {
    suspects.add(end("burning", [activity("a"), activity("b")]));
    suspects.did("a", { what: "call", through: 9 });
    expect([suspects.isSuspect("a"), suspects.holdMsOf("a")]).toEqual([true, 31_000]);
    suspects.endedAlone("a", "burning", { what: "call", through: 9 }, "took a core, and was stopped.");
    expect(suspects.convictionOf("a")).toBe("While it acted on event 9, it took a core, and was stopped.");
    expect(suspects.isSuspect("b")).toBe(false);
    suspects.tryAgain("a");
    expect(suspects.holdMsOf("a")).toBe(31_000);
  });

  test("is looked at at once when it may also have hung", () => {
    suspects.add(end("cpu", [activity("a")]));
    suspects.add(end("burning", [activity("a")]));
    expect(suspects.holdMsOf("a")).toBeUndefined();
    suspects.add(end("burning", [activity("b")]));
    suspects.add(end("cpu", [activity("b")]));
    expect(suspects.holdMsOf("b")).toBeUndefined();
  });

  test("what runs beside it is suspected when it happens again", () => {
    suspects.add(end("burning", [activity("a")], [activity("hidden")]));
    expect(suspects.isSuspect("hidden")).toBe(false);
    suspects.add(end("burning", [activity("a")], [activity("hidden")]));
    expect(suspects.isSuspect("hidden")).toBe(true);
    suspects.endedAlone("a", "burning", { what: "call", through: 7 });
    suspects.add(end("burning", [activity("c")], [activity("other")]));
    expect(suspects.isSuspect("other")).toBe(false);
  });
});
