/**
 * Which rules were stopped when they were last evaluated. They are likely to be stopped again, each time with the
 * process that they run in; so they wait for each other, and not others for them.
 */
import { createHash } from "node:crypto";
import type { Rule } from "@millrace/engine";

export interface StoppedRules {
  has(rule: Rule): boolean;
  add(rule: Rule): void;
  /** It came to an end: a large event or a busy machine was to blame. */
  forgive(rule: Rule): void;
}

/** The oldest is forgotten, which costs one more process. */
const keptMax = 10_000;

export function createStoppedRules(): StoppedRules {
  const digests = new Set<string>();
  return {
    // Nearly always there are none, and then nothing is digested.
    has: (rule) => digests.size > 0 && digests.has(digestOf(rule)),
    add(rule) {
      digests.add(digestOf(rule));
      for (const oldest of digests) {
        if (digests.size <= keptMax) break;
        digests.delete(oldest);
      }
    },
    forgive: (rule) => void digests.delete(digestOf(rule)),
  };
}

function digestOf({ matcher, transform }: Rule): string {
  return createHash("sha256")
    .update(JSON.stringify([matcher ?? null, transform ?? null]))
    .digest("base64");
}
