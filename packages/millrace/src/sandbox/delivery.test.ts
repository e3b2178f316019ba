/** Whatever the code does, a delivery comes to an end. */
import { noCalls, type SandboxDelivery } from "@millrace/engine";
import type { StreamEvent } from "@millrace/protocol";
import { expect, test } from "vitest";
import { Delivery } from "./delivery.ts";
import type { ToRunner } from "./messages.ts";

function deliver(delivery: Partial<SandboxDelivery>) {
  const sent: ToRunner[] = [];
  const running = new Delivery({
    id: 1,
    delivery: { state: "one", base: 3, events: [], ...delivery },
    calls: noCalls,
    place: { path: "/s", slug: "code", epoch: 2, configuredAt: 2 },
    activity: { suspect: "s", deed: { what: "fold", through: 1 }, sentAt: 0, questions: 0, cpuMs: 450 },
    foldMs: 20,
    send: (message) => void sent.push(message),
    over: () => {},
  });
  return { running, sent };
}

test("folding that never comes to its end has failed, at the last of its events", async () => {
  const event: StreamEvent = { streamPath: "/s", offset: 7, type: "m", payload: {}, createdAt: "2026-01-01T00:00:00Z" };
  for (const [events, offset] of [
    [[event], 7],
    [[], 3],
  ] as const) {
    const { running } = deliver({ events });
    expect(await running.result).toMatchObject({
      is: "fold-failed",
      offset,
      error: { message: "Folding took more than 20 ms: a schema may wait for something that never comes." },
    });
    running.end();
  }
});

test("folding that came to its end in time is over, and what is said late changes nothing", async () => {
  const { running } = deliver({});
  running.answered({ is: "result", id: 1, working: false }, '{"is":"done","passedOver":[]}');
  expect(await running.result).toEqual({ is: "done", passedOver: [] });
  running.answered({ is: "result", id: 1, working: false }, '{"is":"fold-failed","error":{"message":"late"}}');
  expect(await running.result).toEqual({ is: "done", passedOver: [] });
});
