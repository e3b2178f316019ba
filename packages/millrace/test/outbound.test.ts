import { describeOutbound, type OutboundFixture } from "@millrace/testing";
import { createOutbound } from "millrace";
import { describe, expect, test } from "vitest";
import { createReceivers } from "./receivers.ts";

async function createFixture(): Promise<OutboundFixture> {
  const outbound = createOutbound({ allowPrivateDestinations: true });
  const receivers = createReceivers();
  return {
    outbound,
    listen: receivers.listen,
    nowhere: await receivers.nowhere(),
    until: (promise) => promise,
    async dispose() {
      await outbound.close();
      await receivers.dispose();
    },
  };
}

describe("the way out over undici", () => {
  const cases = describeOutbound(createFixture);

  test.each(cases)("$name", ({ run }) => run());

  test("no case was left out", () => {
    expect(cases.length).toBe(20);
  });
});
