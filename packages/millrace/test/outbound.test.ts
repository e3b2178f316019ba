import { describeOutbound, type OutboundFixture } from "@millrace/testing";
import { createOutbound } from "millrace";
import { describe, expect, test } from "vitest";
import { createReceivers } from "./receivers.ts";

async function createFixture(): Promise<OutboundFixture> {
  const outbound = createOutbound({ allowPrivateDestinations: true });
  const strict = createOutbound();
  const receivers = createReceivers();
  return {
    outbound,
    listen: receivers.listen,
    accept: receivers.accept,
    // Loopback is no public address.
    forbidding: () => strict,
    nowhere: await receivers.nowhere(),
    until: (promise) => promise,
    async dispose() {
      await outbound.close();
      await strict.close();
      await receivers.dispose();
    },
  };
}

describe("the way out over undici", () => {
  const cases = describeOutbound(createFixture);

  test.each(cases)("$name", ({ run }) => run());

  test("no case was left out", () => {
    expect(cases.length).toBe(31);
  });
});
