import { setImmediate } from "node:timers/promises";
import {
  createManualClock,
  createSeededRandom,
  createSimulatedNetwork,
  describeOutbound,
  type ManualClock,
  type OutboundFixture,
  type ReceivedRequest,
  type ReceivedUpgrade,
} from "@millrace/testing";
import { describe, expect, test } from "vitest";

/** Time goes from one timer to the next, as soon as nothing happens without it. */
async function until<Value>(clock: ManualClock, promise: Promise<Value>): Promise<Value> {
  let settled = false;
  const end = () => {
    settled = true;
  };
  promise.then(end, end);
  for (let turns = 0; turns < 10_000; turns++) {
    await setImmediate();
    if (settled) return promise;
    clock.advance(clock.nextTimerInMs() ?? 0);
  }
  throw new Error("no amount of time settles it");
}

async function createFixture(): Promise<OutboundFixture> {
  const clock = createManualClock();
  const network = createSimulatedNetwork({ clock, random: createSeededRandom(1) });
  let listening = 0;
  return {
    outbound: network,
    async listen(receiver) {
      const url = `http://receiver-${++listening}.example/hook`;
      const received: ReceivedRequest[] = [];
      network.register(url, (request) => {
        received.push(request);
        return receiver(request);
      });
      return { url, received };
    },
    async accept(peer) {
      const url = `http://peer-${++listening}.example/socket`;
      const requests: ReceivedUpgrade[] = [];
      network.registerPeer(url, (request) => {
        requests.push(request);
        return peer(request);
      });
      return { url, requests };
    },
    forbidding(url) {
      network.refuse(new URL(url).origin);
      return network;
    },
    nowhere: "http://nowhere.example/",
    until: (promise) => until(clock, promise),
    dispose: () => network.close(),
  };
}

describe("the simulated network", () => {
  const cases = describeOutbound(createFixture);

  test.each(cases)("$name", ({ run }) => run());

  test("no case was left out", () => {
    expect(cases.length).toBe(31);
  });

  const request = (url: string) => ({
    url,
    method: "POST" as const,
    headers: { "X-A": "b" },
    body: "body",
    timeoutMs: 15_000,
    responseBytesMax: 100,
    signal: new AbortController().signal,
  });

  test("the same seed takes the same time, another seed another", async () => {
    const durations = async (seed: number) => {
      const clock = createManualClock();
      const network = createSimulatedNetwork({ clock, random: createSeededRandom(seed) });
      network.register("http://a.example/", () => ({ status: 200 }));
      const ended: number[] = [];
      for (let i = 0; i < 10; i++) {
        await until(clock, network.send(request("http://a.example/")));
        ended.push(clock.elapsedMs());
      }
      return ended;
    };
    expect(await durations(7)).toEqual(await durations(7));
    expect(await durations(8)).not.toEqual(await durations(7));
  });

  test("without its clock nothing happens", async () => {
    const clock = createManualClock();
    const network = createSimulatedNetwork({ clock, random: createSeededRandom(1), latencyMsMax: 1 });
    network.register("http://a.example/", () => ({ status: 200, afterMs: 3_600_000 }));
    const outcome = network.send(request("http://a.example/")).catch((error: Error) => error.message);
    await setImmediate();
    expect(network.received).toEqual([]);
    clock.advance(1);
    await setImmediate();
    const { url, body } = request("http://a.example/");
    expect(network.received).toEqual([{ url, body, headers: { "x-a": "b" }, at: clock.now() }]);
    clock.advance(14_998);
    await setImmediate();
    clock.advance(1);
    expect(await outcome).toBe("http://a.example: no answer within 15000 ms.");
  });

  test("a receiver is found by origin and path; another server reaches it too, in its own time", async () => {
    const clock = createManualClock();
    const clockOfAnother = createManualClock(5_000);
    const network = createSimulatedNetwork({ clock, random: createSeededRandom(1) });
    const another = network.join({ clock: clockOfAnother, random: createSeededRandom(2) });
    network.register("http://a.example/hook?any", () => ({ status: 201 }));
    expect((await until(clock, network.send(request("http://a.example/hook")))).status).toBe(201);
    expect((await until(clockOfAnother, another.send(request("http://a.example/hook?b")))).status).toBe(201);
    await expect(until(clock, network.send(request("http://a.example/other")))).rejects.toThrow("connection refused");
    await expect(until(clock, network.send(request("http://a.example:81/hook")))).rejects.toThrow("connection refused");
    network.remove("http://a.example/hook");
    await expect(until(clock, network.send(request("http://a.example/hook")))).rejects.toThrow("connection refused");
    expect(network.received.map(({ url }) => url)).toEqual(["http://a.example/hook", "http://a.example/hook?b"]);
    expect(network.received[1]?.at).toBeLessThan(5_100);
  });

  test("what is refused is not sent", async () => {
    const clock = createManualClock();
    const network = createSimulatedNetwork({ clock, random: createSeededRandom(1) });
    network.register("http://a.example/", () => ({ status: 200 }));
    network.refuse("http://a.example");
    await expect(network.send(request("http://a.example/"))).rejects.toMatchObject({ reason: "refused" });
    expect([network.received.length, clock.nextTimerInMs()]).toEqual([0, undefined]);
  });
});
