import { setImmediate } from "node:timers/promises";
import {
  createManualClock,
  createSimulatedStreams,
  describeOutboundStreams,
  type ManualClock,
  type OutboundStreamsFixture,
} from "@millrace/testing";
import { describe, expect, test } from "vitest";

/** Time goes on as soon as nothing happens without it. */
async function until<Value>(clock: ManualClock, promise: Promise<Value>): Promise<Value> {
  let settled = false;
  const end = () => {
    settled = true;
  };
  promise.then(end, end);
  for (let turns = 0; turns < 10_000 && !settled; turns++) {
    await setImmediate();
    if (turns > 20 && !settled) clock.advance(clock.nextTimerInMs() ?? 0);
  }
  return promise;
}

async function createFixture(): Promise<OutboundStreamsFixture> {
  const clock = createManualClock();
  const outbound = createSimulatedStreams({ clock });
  let serving = 0;
  return {
    outbound,
    async serve(receiver) {
      const url = `http://receiver-${++serving}.example/place`;
      outbound.register(url, receiver);
      return url;
    },
    nowhere: "http://nowhere.example/",
    until: (promise) => until(clock, promise),
    dispose: () => outbound.close(),
  };
}

describe("streams in memory", () => {
  const cases = describeOutboundStreams(createFixture);

  test.each(cases)("$name", ({ run }) => run());

  test("no case was left out", () => {
    expect(cases.length).toBe(15);
  });
});
