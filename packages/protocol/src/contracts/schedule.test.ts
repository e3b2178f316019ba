import { describe, expect, test } from "vitest";
import { builtinPrefix } from "../contract.ts";
import { parseEventInput } from "../parse-event.ts";
import { compileCron } from "./cron.ts";

const once = { kind: "once-in", delaySeconds: 1 };
const append = { type: "ping" };

function judge(payload: unknown): string {
  const parsed = parseEventInput({ type: `${builtinPrefix}append-scheduled`, payload }, { jsonDepth: 64 });
  return parsed.ok ? "accepted" : parsed.error;
}

describe("a schedule", () => {
  test.each([
    [{ kind: "once-at", at: "2026-04-08T12:00:00Z" }],
    [{ kind: "once-at", at: "2026-04-08T12:00:00.123Z" }],
    [{ kind: "once-at", at: "2026-04-08T12:00:00+02:00" }],
    [{ kind: "once-at", at: "1999-12-31T23:59:59Z" }],
    [{ kind: "once-in", delaySeconds: 0 }],
    [{ kind: "once-in", delaySeconds: 0.001 }],
    [{ kind: "once-in", delaySeconds: 3_155_760_000 }],
    [{ kind: "every", intervalSeconds: 0.05 }],
    [{ kind: "every", intervalSeconds: 5 }],
    [{ kind: "cron", cron: "* * * * *" }],
    [{ kind: "cron", cron: "*/5 9-17 * * MON-FRI", timezone: "Europe/Berlin" }],
    [{ kind: "cron", cron: "*/10 * * * * *", timezone: "UTC" }],
    [{ kind: "cron", cron: "0 0 29 2 *" }],
    [{ kind: "cron", cron: "@daily" }],
  ])("%j is accepted", (schedule) => {
    expect(judge({ slug: "s", append, schedule })).toBe("accepted");
  });

  test.each([
    [undefined, "payload.schedule: is missing; expected an object"],
    [null, "payload.schedule: expected an object, got null"],
    ["* * * * *", "payload.schedule: expected an object, got a string"],
    [{}, 'payload.schedule.kind: is missing; expected one of "once-at", "once-in", "every", "cron"'],
    [{ kind: "often" }, 'payload.schedule.kind: expected one of "once-at", "once-in", "every", "cron", got a string'],
    [{ kind: "once-at" }, "payload.schedule.at: is missing"],
    [
      { kind: "once-at", at: "tomorrow" },
      "payload.schedule.at: expected an ISO 8601 date and time with Z or an offset",
    ],
    [{ kind: "once-at", at: "2026-04-08T12:00:00" }, "payload.schedule.at: expected an ISO 8601"],
    [{ kind: "once-at", at: "2026-04-08" }, "payload.schedule.at: expected an ISO 8601"],
    [{ kind: "once-at", at: "2026-02-30T12:00:00Z" }, "payload.schedule.at: expected an ISO 8601"],
    [{ kind: "once-at", at: "2026-04-08T25:00:00Z" }, "payload.schedule.at: expected an ISO 8601"],
    [{ kind: "once-at", at: 1775649600 }, "payload.schedule.at: expected a string, got a number"],
    [{ kind: "once-in", delaySeconds: -1 }, "payload.schedule.delaySeconds: expected 0 seconds or more"],
    [{ kind: "once-in", delaySeconds: "5" }, "payload.schedule.delaySeconds: expected a number, got a string"],
    [
      { kind: "once-in", delaySeconds: 3_155_760_001 },
      "payload.schedule.delaySeconds: expected at most 3155760000 sec",
    ],
    [{ kind: "once-in" }, "payload.schedule.delaySeconds: is missing; expected a number"],
    [{ kind: "once-in", delaySeconds: 1, at: "x" }, "payload.schedule.at: unknown key"],
    [{ kind: "every", intervalSeconds: 0.049 }, "payload.schedule.intervalSeconds: expected 0.05 seconds or more"],
    [{ kind: "every", intervalSeconds: 0 }, "payload.schedule.intervalSeconds: expected 0.05 seconds or more"],
    [{ kind: "every", intervalSeconds: null }, "payload.schedule.intervalSeconds: expected a number, got null"],
    [
      { kind: "cron", cron: "99 * * * *" },
      "payload.schedule.cron: expected a cron pattern: Invalid value for minute: 99",
    ],
    [
      { kind: "cron", cron: "* * * *" },
      "payload.schedule.cron: expected a cron pattern: five fields, or six with seconds first; got 4",
    ],
    [
      { kind: "cron", cron: "* * * * * * *" },
      "payload.schedule.cron: expected a cron pattern: five fields, or six with seconds first; got 7",
    ],
    [
      { kind: "cron", cron: "" },
      "payload.schedule.cron: expected a cron pattern: five fields, or six with seconds first; got 0",
    ],
    [
      { kind: "cron", cron: "hourly" },
      "payload.schedule.cron: expected a cron pattern: five fields, or six with seconds first; got 1",
    ],
    [{ kind: "cron", cron: "@reboot" }, "payload.schedule.cron: expected a cron pattern: "],
    [{ kind: "cron", cron: "2026-04-08T12:00:00Z" }, "payload.schedule.cron: expected a cron pattern, got a date"],
    [{ kind: "cron", cron: "0 0 30 2 *" }, "payload.schedule.cron: expected a cron pattern that matches some time"],
    [{ kind: "cron", cron: "0 0 31 2,4,6,9,11 *" }, "payload.schedule.cron: expected a cron pattern that matches some"],
    [
      { kind: "cron", cron: `${"0,".repeat(126)}0 * * * *` },
      "payload.schedule.cron: expected a cron pattern of at most",
    ],
    [{ kind: "cron", cron: 5 }, "payload.schedule.cron: expected a string, got a number"],
    [
      { kind: "cron", cron: "* * * * *", timezone: "Mars/Base" },
      "payload.schedule.timezone: expected an IANA time zone, such as Europe/Berlin",
    ],
    [{ kind: "cron", cron: "* * * * *", timezone: "" }, "payload.schedule.timezone: expected an IANA time zone"],
    [{ kind: "cron", cron: "* * * * *", timezone: null }, "payload.schedule.timezone: expected a string, got null"],
  ])("%j is refused: %s", (schedule, error) => {
    expect(judge({ slug: "s", append, schedule })).toContain(error);
    expect(judge({ slug: "s", append, schedule })).toMatch(/^.{1,330}$/);
  });

  test.each([
    [{ slug: "s", append, schedule: once, missed: "fire-once" }, "accepted"],
    [{ slug: "s", append, schedule: once, missed: "skip" }, "accepted"],
    [{ slug: "s", append, schedule: once, missed: "all" }, 'payload.missed: expected one of "fire-once", "skip", got'],
    [{ slug: "s".repeat(255), append, schedule: once }, "accepted"],
    [{ slug: "s".repeat(256), append, schedule: once }, "payload.slug: expected 1 to 255 characters"],
    [{ slug: "", append, schedule: once }, "payload.slug: expected 1 to 255 characters"],
    [{ slug: " ", append, schedule: once }, "payload.slug: expected 1 to 255 characters, not only blanks"],
    [{ append, schedule: once }, "payload.slug: is missing; expected a string"],
    [
      { slug: "s", append, schedule: once, every: 5 },
      "payload.every: unknown key; append-scheduled has slug, append, schedule, missed",
    ],
    ["s", "payload: expected an object, got a string"],
    [[], "payload: expected an object, got an array"],
    [null, "payload: expected an object, got null"],
    [undefined, "payload.slug: is missing"],
  ])("%# is judged as a whole", (payload, outcome) => {
    expect(judge(payload)).toContain(outcome);
  });
});

test.each([0, 1, 2, 3, 4, 5, 6])("a 29 February on weekday %i comes, if rarely", (weekday) => {
  const schedule = { kind: "cron", cron: `0 0 29 2 +${weekday}` };
  expect(judge({ slug: "s", append, schedule })).toBe("accepted");
});

describe("what a schedule appends is an event itself", () => {
  const pause = "https://events.iterate.com/stream-paused";

  test.each([
    [{ type: "ping" }],
    [{ type: "ping", payload: "text", metadata: { a: 1 } }],
    [{ type: "ping", payload: null }],
    [{ type: pause, payload: { reason: "Night." } }],
    [{ type: `${builtinPrefix}append-scheduled`, payload: { slug: "t", append: { type: pause }, schedule: once } }],
  ])("%j is accepted", (nested) => {
    expect(judge({ slug: "s", append: nested, schedule: once })).toBe("accepted");
  });

  test.each([
    [undefined, "payload.append: is missing; expected an object"],
    ["ping", "payload.append: expected an object, got a string"],
    [[{ type: "ping" }], "payload.append: expected an object, got an array"],
    [{}, "payload.append.type: expected a string, got nothing"],
    [{ type: " " }, "payload.append.type: expected 1 to 2048 characters, got 0"],
    [{ type: "ping", hogwash: 1 }, "payload.append.hogwash: unknown key; an event has"],
    [{ hogwash: 1 }, "payload.append.type: expected a string, got nothing; payload.append.hogwash: unknown key"],
    [{ type: "ping", metadata: 1 }, "payload.append.metadata: expected an object, got a number"],
    [{ type: "ping", idempotencyKey: "k" }, "payload.append.idempotencyKey: every tick is an event of its own"],
    [{ type: "ping", offset: 7 }, "payload.append.offset: a scheduled event cannot know its offset"],
    [{ type: pause, payload: { reason: 1 } }, "payload.append.payload.reason: expected a string, got a number"],
    [{ type: pause, payload: [] }, "payload.append.payload: expected an object, got an array"],
    [{ type: `${builtinPrefix}unheard-of` }, "payload.append.type: the server knows no built-in type"],
    [{ type: `${builtinPrefix}initialized` }, "payload.append.type: only the server may write"],
    [
      { type: `${builtinPrefix}append-scheduled`, payload: { slug: "t", append: { type: 1 }, schedule: once } },
      "payload.append.payload.append.type: expected a string, got a number",
    ],
  ])("%j is refused: %s", (nested, error) => {
    expect(judge({ slug: "s", append: nested, schedule: once })).toContain(error);
  });

  test("even the server cannot schedule what only it may write", () => {
    const payload = { slug: "s", append: { type: `${builtinPrefix}initialized` }, schedule: once };
    const event = { type: `${builtinPrefix}append-scheduled`, payload };
    expect(parseEventInput(event, { jsonDepth: 64, fromServer: true })).toMatchObject({ ok: false });
  });
});

describe("compileCron", () => {
  test.each([
    ["0 12 * * *", undefined, "2026-04-08T12:00:00.000Z"],
    ["0 12 * * *", "Europe/Berlin", "2026-04-08T10:00:00.000Z"],
    ["30 * * * * *", undefined, "2026-04-08T00:00:30.000Z"],
  ])("%s in %s comes next at %s", (pattern, timezone, next) => {
    expect(compileCron(pattern, timezone).nextRun(new Date("2026-04-08T00:00:00Z"))?.toISOString()).toBe(next);
  });

  test("starts nothing", () => {
    expect(compileCron("* * * * * *").isRunning()).toBe(false);
  });
});
