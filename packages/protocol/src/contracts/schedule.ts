/** Appending later, once or again and again. */
import { z } from "zod";
import { defineContract, type EventContract } from "../contract.ts";
import { intervalSecondsMin, scheduleSecondsMax } from "../limits.ts";
import { cronFault, timezoneFault } from "./cron.ts";
import { json, jsonObject, slug } from "./fields.ts";

/** Only the shape, for documentation: what makes a valid event is judged by `parseEventInput`, as for any other. */
const append = z.strictObject({
  type: z.string(),
  payload: json.optional(),
  metadata: jsonObject.optional(),
});

const tooFar = `expected at most ${scheduleSecondsMax} seconds, which is a hundred years`;

const onceAt = z.strictObject({
  kind: z.literal("once-at"),
  at: z.iso.datetime({ offset: true, error: "expected an ISO 8601 date and time with Z or an offset" }),
});

const onceIn = z.strictObject({
  kind: z.literal("once-in"),
  delaySeconds: z.number().min(0, "expected 0 seconds or more").max(scheduleSecondsMax, tooFar),
});

const every = z.strictObject({
  kind: z.literal("every"),
  intervalSeconds: z
    .number()
    .min(intervalSecondsMin, `expected ${intervalSecondsMin} seconds or more`)
    .max(scheduleSecondsMax, tooFar),
});

const cron = z.strictObject({
  kind: z.literal("cron"),
  cron: z.string().superRefine(judgedBy(cronFault)),
  timezone: z.string().superRefine(judgedBy(timezoneFault)).optional(),
});

const appendScheduled = defineContract({
  name: "append-scheduled",
  aliases: ["https://events.iterate.com/stream-append-scheduled"],
  payload: z.strictObject({
    slug,
    append,
    schedule: z.discriminatedUnion("kind", [onceAt, onceIn, every, cron]),
    missed: z.enum(["fire-once", "skip"]).optional(),
  }),
  example: {
    slug: "heartbeat",
    append: { type: "heartbeat", payload: { from: "schedule" } },
    schedule: { kind: "every", intervalSeconds: 5 },
  },
  summary: "Appends an event later, once or repeatedly.",
  documentation:
    'When it is due, `append` is appended to this stream with `source {kind: "schedule", slug}`. `schedule` is one ' +
    "of `once-at {at}`, `once-in {delaySeconds}`, `every {intervalSeconds}` (from 0.05 s) and `cron {cron, " +
    "timezone?}`; a cron pattern has five fields, or six with seconds first, and means UTC unless it names a zone. " +
    "Schedules are kept to the millisecond, do not drift, survive restarts and never fire twice for one tick. Ticks " +
    'missed while the server was down or the stream was paused fire once together, or with `missed: "skip"` not at ' +
    "all: a tick is missed when it is more than 10 seconds late. A `once-at` in the past fires at once. The same " +
    "slug again replaces the schedule; a stream has at most 10,000. `append` is judged like any event that is sent; " +
    "it has no `offset` and no `idempotencyKey`, since every tick is an event of its own.",
});

const scheduleCancelled = defineContract({
  name: "schedule-cancelled",
  whilePaused: true,
  payload: z.strictObject({ slug }),
  example: { slug: "heartbeat" },
  summary: "Ends a schedule.",
  documentation: "The schedule of this slug fires no more. Cancelling one that does not exist changes nothing.",
});

const scheduleFinished = defineContract({
  name: "schedule-finished",
  serverOnly: true,
  payload: z.strictObject({ slug, outcome: z.enum(["succeeded", "failed", "skipped"]) }),
  example: { slug: "reminder", outcome: "succeeded" },
  summary: "A schedule came to its end.",
  documentation:
    "Written only when a schedule ends by itself: right behind its last tick, in the same commit (`succeeded`), or " +
    'instead of it, where it was missed and has `missed: "skip"` (`skipped`). A repeating schedule that goes on writes ' +
    "none. Nothing writes `failed` yet.",
});

export const scheduleContracts: readonly EventContract[] = [appendScheduled, scheduleCancelled, scheduleFinished];

function judgedBy(fault: (value: string) => string | undefined) {
  return (value: string, context: z.RefinementCtx): void => {
    const message = fault(value);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  };
}
