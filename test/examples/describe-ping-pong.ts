/** The page on processors in PROTOCOL.md as behaviour: what every example in whatever language has to pass. */
import { describe } from "vitest";
import { describeDelivery } from "./describe-delivery.ts";
import { describeSubtree } from "./describe-subtree.ts";
import { describeSurvival } from "./describe-survival.ts";
import { createFixture } from "./fixture.ts";
import type { Program } from "./ping-pong-process.ts";

/** @param program how it is started, or why it cannot be */
export function describePingPong(title: string, program: Program | string): void {
  const isMissing = typeof program === "string";
  if (isMissing) console.log(`left out: the tests of ${title}, because ${program}`);
  describe.skipIf(isMissing)(title, () => {
    const fixture = createFixture(program as Program);
    describeDelivery(fixture);
    describeSurvival(fixture);
    describeSubtree(fixture);
  });
}
