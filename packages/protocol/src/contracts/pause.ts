/** Stopping a stream and letting it go on. */
import { z } from "zod";
import { defineContract, type EventContract } from "../contract.ts";
import { canonicalPath, eventOffset } from "./fields.ts";

const cause = z.strictObject({
  kind: z.enum(["rate", "depth", "budget", "person"]),
  chain: z.array(z.strictObject({ streamPath: canonicalPath, offset: eventOffset })).optional(),
  limit: z.number().optional(),
  observed: z.number().optional(),
});

const paused = defineContract({
  name: "paused",
  aliases: ["https://events.iterate.com/stream-paused"],
  payload: z.strictObject({ reason: z.string().optional(), cause: cause.optional() }),
  example: { reason: "Looking into the replies of last night.", cause: { kind: "person" } },
  summary: "Nothing more may be appended until the stream is resumed.",
  documentation:
    "While a stream is paused every append is refused with 423 and the reason, except `resumed`, " +
    "`circuit-breaker-configured`, whatever removes or cancels something, `dynamic-worker/configured` and " +
    "`dynamic-worker/source-configured`, and facts that the server writes. No hook of the stream's consumers starts, running ones are aborted and cost no attempt, " +
    "and ticks stay due; reading and webhook delivery of what is stored go on. The circuit breaker appends this " +
    "event by itself, with a `cause` that says which limit was passed and by how much; `chain` lists the event that " +
    "passed it and the causes behind it, newest first, as far as this stream knows them, at most 20.",
});

const resumed = defineContract({
  name: "resumed",
  aliases: ["https://events.iterate.com/stream-resumed"],
  whilePaused: true,
  payload: z.strictObject({ reason: z.string().optional() }),
  example: { reason: "The loop is fixed." },
  summary: "The stream goes on after a pause.",
  documentation:
    "Ends a pause: appends are accepted again, and consumers go on from their cursors. After a pause for causal " +
    "depth it raises that limit by as much again.",
});

export const pauseContracts: readonly EventContract[] = [paused, resumed];
