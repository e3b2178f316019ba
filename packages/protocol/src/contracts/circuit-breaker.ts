/** How fast and how deep a stream may grow before it pauses itself. */
import { z } from "zod";
import { defineContract, type EventContract } from "../contract.ts";
import { positive } from "./fields.ts";

const circuitBreakerConfigured = defineContract({
  name: "circuit-breaker-configured",
  whilePaused: true,
  payload: z.strictObject({
    burstCapacity: z.int().min(0, "expected 0 (off) or more events"),
    refillRatePerMinute: positive,
    maxDepth: z.int().min(1, "expected a depth of 1 or more").optional(),
  }),
  example: { burstCapacity: 100, refillRatePerMinute: 2_400, maxDepth: 10_000 },
  summary: "Sets how many events the stream takes before it pauses itself.",
  documentation:
    "A token bucket: each event takes a token, `burstCapacity` is the size of the bucket, `refillRatePerMinute` what " +
    "comes back. The event that takes it below zero is stored, and `paused` is the next event of the same commit. " +
    "Without this event a stream has 100, 2,400 and a `maxDepth` of 10,000; `burstCapacity: 0` turns the rate limit " +
    "off. `maxDepth` limits how long a chain of events may grow in which each was appended by code because of the " +
    "one before.",
});

export const circuitBreakerContracts: readonly EventContract[] = [circuitBreakerConfigured];
