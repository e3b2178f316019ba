/** Webhooks: what is sent, in which order, what each answer means, and that nothing is ever skipped in silence. */
import {
  createManualClock,
  createSeededRandom,
  createSimulatedNetwork,
  type Intercept,
  type Receiver,
  type SimulatedNetwork,
} from "@millrace/testing";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { errorsIn, gate, ofType, pass } from "../../test/processors.ts";
import {
  breakerOff,
  crashes,
  paused,
  plainSecrets,
  pushingWorld,
  subscription,
  subscriptionEvent,
  transformer,
} from "../../test/pushing.ts";
import { builtin, untilQuiet, type World, type WorldOptions } from "../../test/world.ts";

const callbackUrl = "https://receiver.example/hook";
const halts = builtin("subscription/halted");
const parked = builtin("subscription/event-parked");
const secret = { value: "sk-very-secret", hosts: ["receiver.example"] };

const unusual = {
  BLANK: { ...secret, value: "sk-very-secret " },
  SLASH: { ...secret, value: "sk-very-secret/2" },
};

const hook = (extra: object = {}) => subscription("audit", { type: "webhook", callbackUrl, ...extra });
const taken: Receiver = () => ({ status: 200 });

interface Posted extends World {
  network: SimulatedNetwork;
  /** Offsets of the events that came to the receiver, in order. */
  came(): number[];
}

function postingWorld(receiver: Receiver, options: WorldOptions = {}): Posted {
  const clock = options.clock ?? createManualClock();
  const network = createSimulatedNetwork({ clock, random: createSeededRandom(7) });
  network.register(callbackUrl, receiver);
  return posting(network, { ...options, clock });
}

function posting(network: SimulatedNetwork, options: WorldOptions): Posted {
  const secrets = plainSecrets({
    KEY: secret,
    ...unusual,
    SIGNING: { ...secret, value: "c2lnbmluZyBrZXkgb2YgdGhlIHRlc3Q=" },
  });
  const world = pushingWorld({ outbound: network, secrets }, options);
  return { ...world, network, came: () => network.received.map(({ body }) => JSON.parse(body).offset) };
}

/** Answers one after the other, the last of them for ever. */
function answers(...list: ReturnType<Receiver>[]): Receiver {
  return () => (list.length > 1 ? list.shift() : list[0]) as ReturnType<Receiver>;
}

async function payloads(world: World, type: string): Promise<unknown[]> {
  return (await ofType(world, type)).map(({ payload }) => payload);
}

describe("what is sent", () => {
  test("the event as a reader sees it, with what the receiver needs to answer for it", async () => {
    const world = postingWorld(taken);
    await world.append("/s", hook());
    const [event] = await world.append("/s", { type: "order-placed", payload: { id: 7 } });
    await pass(world, 2_000);
    const [request, ...more] = world.network.received;
    const { streamId } = await world.engine.state("public", "/s");
    expect(more).toEqual([]);
    expect(JSON.parse(request?.body as string)).toEqual(event);
    expect(request?.headers).toMatchObject({
      "content-type": "application/json",
      "webhook-id": `${streamId}.3.audit`,
      "millrace-after": "2",
      "millrace-cause": "%2Fs@3",
      "millrace-depth": "0",
      "millrace-processor": "audit",
      "millrace-project": "public",
    });
    expect((await world.engine.state("public", "/s")).consumers.audit).toEqual({
      kind: "subscription",
      cursor: 3,
      lag: 0,
    });
  });

  test("a signature that the receiver's own library verifies, by the secret that the first answer shows", async () => {
    const world = postingWorld(taken);
    const appended = await world.engine.append("public", "/s", [{ event: hook() }], { bytes: 1 });
    const made = await world.engine.signingSecrets("public", "/s", appended);
    expect(Object.keys(made)).toEqual(["audit"]);
    await world.append("/s", { type: "signed", payload: "ü" });
    await pass(world, 2_000);
    const { body = "", headers = {} } = world.network.received[0] ?? {};
    // The library looks at the time by itself, and the clock of this world stands elsewhere.
    const verifier = new Webhook(made.audit as string);
    const at = new Date(Number(headers["webhook-timestamp"]) * 1_000);
    expect(verifier.sign(headers["webhook-id"] as string, at, body)).toBe(headers["webhook-signature"]);
    const again = await world.engine.append("public", "/s", [{ event: hook() }], { bytes: 1 });
    expect(await world.engine.signingSecrets("public", "/s", again)).toEqual({});
    await world.append("/s", { type: "signed again" });
    await pass(world, 2_000);
    const second = world.network.received[1];
    const secondAt = new Date(Number(second?.headers["webhook-timestamp"]) * 1_000);
    const signature = verifier.sign(second?.headers["webhook-id"] as string, secondAt, second?.body as string);
    expect(second?.headers["webhook-signature"]).toBe(signature);
  });

  test("the server's secret is shown when a webhook that had another one, or was none, comes to leave it to the server", async () => {
    const world = postingWorld(taken);
    const shown = async (...events: ReturnType<typeof hook>[]) => {
      const inputs = events.map((event) => ({ event }));
      return world.engine.signingSecrets(
        "public",
        "/s",
        await world.engine.append("public", "/s", inputs, { bytes: 1 }),
      );
    };
    const own = hook({ signingSecret: "{{secret:SIGNING}}" });
    expect(await shown(own)).toEqual({});
    const first = await shown(hook());
    expect(first).toEqual({ audit: expect.stringMatching(/^whsec_/) });
    expect(await shown(hook({ startFrom: "end" }))).toEqual({});
    expect(await shown(subscription("audit", { type: "stream", path: "/other" }))).toEqual({});
    const second = await shown(own, hook(), hook());
    expect(second).toEqual({ audit: expect.stringMatching(/^whsec_/) });
    expect(second).not.toEqual(first);
    await world.append("/s", { type: "signed" });
    await pass(world, 2_000);
    const { body = "", headers = {} } = world.network.received.at(-1) ?? {};
    const at = new Date(Number(headers["webhook-timestamp"]) * 1_000);
    const verifier = new Webhook(second.audit as string);
    expect(verifier.sign(headers["webhook-id"] as string, at, body)).toBe(headers["webhook-signature"]);
  });

  test("a signature by a stored secret, and headers with secrets that no event holds", async () => {
    const world = postingWorld(taken);
    const headers = { authorization: "Bearer {{secret:KEY}}", "X-Plain": "p" };
    await world.append("/s", hook({ headers, signingSecret: "{{secret:SIGNING}}" }));
    await world.append("/s", { type: "a" });
    await pass(world, 2_000);
    const [request] = world.network.received;
    expect(request?.headers).toMatchObject({ authorization: "Bearer sk-very-secret", "x-plain": "p" });
    const at = new Date(Number(request?.headers["webhook-timestamp"]) * 1_000);
    const verifier = new Webhook("c2lnbmluZyBrZXkgb2YgdGhlIHRlc3Q=");
    const signature = verifier.sign(request?.headers["webhook-id"] as string, at, request?.body as string);
    expect(request?.headers["webhook-signature"]).toBe(signature);
    expect(JSON.stringify(await world.events("/s"))).not.toContain("sk-very-secret");
  });

  test("what the filter lets through, as the transform makes it, with the range that it proves", async () => {
    const world = postingWorld(taken);
    const jsonataTransform = "type = 'silent' ? $missing : {'text': payload.text}";
    await world.append("/s", hook({ jsonataFilter: "type != 'other'", jsonataTransform }));
    await world.append("/s", [
      { type: "told", payload: { text: "one" } },
      { type: "other" },
      { type: "silent" },
      { type: "told", payload: { text: "two" } },
    ]);
    await pass(world, 2_000);
    expect(world.network.received.map(({ body, headers }) => [body, headers["millrace-after"]])).toEqual([
      ['{"text":"one"}', "2"],
      ['{"text":"two"}', "3"],
    ]);
  });
});

describe("what an answer means", () => {
  test.each<[what: string, answer: ReturnType<Receiver>, message: string]>([
    ["500", { status: 500, body: "out of\n order" }, "https://receiver.example answered 500: out of order"],
    ["a redirect", { status: 302, headers: { location: "http://10.0.0.1/" } }, "Redirects are not followed"],
    ["404", { status: 404 }, "answered 404."],
    ["a closed connection", "closes", "the connection was closed"],
    ["none in time", "never", "no answer within 15000 ms"],
  ])(
    "%s: the event is tried again until it is taken, in order, and the state says why it waits",
    async (_, answer, message) => {
      const world = postingWorld(answers(answer, answer, { status: 204 }));
      await world.append("/s", hook());
      await world.append("/s", [{ type: "a" }, { type: "b" }]);
      await pass(world, 17_000);
      expect(world.came().slice(0, 1)).toEqual([3]);
      const waiting = (await world.engine.state("public", "/s")).consumers.audit;
      if (answer === "never") expect(waiting).toMatchObject({ lastError: expect.stringContaining(message), cursor: 2 });
      await pass(world, 60_000);
      // 5 is the error that names it.
      expect(world.came()).toEqual([3, 3, 3, 4]);
      expect(new Set(world.network.received.slice(0, 3).map(({ headers }) => headers["webhook-id"])).size).toBe(1);
      const errors = await errorsIn(world);
      expect(errors).toEqual([expect.stringContaining(message)]);
    },
  );

  test("an unreachable receiver skips nothing: halted after fifteen attempts, and resumed at the same event", async () => {
    const list: ReturnType<Receiver>[] = Array.from({ length: 15 }, () => ({ status: 500 }));
    const world = postingWorld(answers(...list, { status: 200 }));
    await world.append("/s", hook());
    await world.append("/s", [{ type: "a" }, { type: "b" }]);
    await pass(world, 12 * 3_600_000, 60_000);
    expect(world.came()).toEqual(Array.from({ length: 15 }, () => 3));
    expect(await payloads(world, halts)).toEqual([
      expect.objectContaining({ slug: "audit", offset: 3, attempts: 15, message: expect.stringContaining("500") }),
    ]);
    await world.append("/s", subscriptionEvent("resumed", { slug: "audit" }));
    await pass(world, 2_000);
    // What the stream says about it is not delivered to it.
    expect(world.came().slice(15)).toEqual([3, 4]);
  });

  test("Retry-After is heeded, in seconds and as a date", async () => {
    const clock = createManualClock();
    const at = new Date(clock.now() + 400_000).toUTCString();
    const world = postingWorld(
      answers(
        { status: 429, headers: { "Retry-After": "90" } },
        { status: 503, headers: { "retry-after": at } },
        { status: 200 },
      ),
      { clock },
    );
    await world.append("/s", hook());
    await world.append("/s", { type: "a" });
    await pass(world, 600_000, 1_000);
    const times = world.network.received.map(({ at }) => at - (world.network.received[0]?.at ?? 0));
    expect(times).toHaveLength(3);
    expect(times[1]).toBeGreaterThanOrEqual(90_000);
    expect(times[1]).toBeLessThan(120_000);
    expect(times[2]).toBeGreaterThanOrEqual(395_000);
  });

  test("410 ends the subscription, and an event says why", async () => {
    const world = postingWorld(answers({ status: 410, body: "moved away" }));
    await world.append("/s", hook());
    await world.append("/s", [{ type: "a" }, { type: "b" }]);
    await pass(world, 10_000);
    expect(world.came()).toEqual([3]);
    expect(await payloads(world, builtin("subscription/removed"))).toEqual([
      { slug: "audit", reason: "https://receiver.example answered 410: moved away" },
    ]);
    expect((await world.engine.state("public", "/s")).consumers.audit).toBeUndefined();
    expect(world.engine.meter).toMatchObject({ deliveries: 0, deliveryFailures: 1 });
  });

  test("410 from an address that was replaced meanwhile does not end the new version", async () => {
    const moved = "https://receiver.example/moved";
    const world = postingWorld(() => ({ status: 410, afterMs: 1_000 }));
    world.network.register(moved, taken);
    await world.append("/s", hook());
    await world.append("/s", { type: "a" });
    await pass(world, 500);
    await world.append("/s", hook({ callbackUrl: moved }));
    await pass(world, 10_000);
    expect(await payloads(world, builtin("subscription/removed"))).toEqual([]);
    expect(world.network.received.map(({ url, body }) => [url, JSON.parse(body).offset])).toEqual([
      [callbackUrl, 3],
      [moved, 3],
    ]);
  });

  test.each([400, 413, 422])(
    "%i three times parks the event, and it goes on behind it; replayed it is delivered",
    async (status) => {
      let broken = true;
      const world = postingWorld(({ body }) => ({
        status: broken && JSON.parse(body).type === "poison" ? status : 200,
      }));
      await world.append("/s", hook());
      await world.append("/s", [{ type: "a" }, { type: "poison" }, { type: "b" }]);
      await pass(world, 30_000);
      expect(world.came()).toEqual([3, 4, 4, 4, 5]);
      expect(await payloads(world, parked)).toEqual([
        { slug: "audit", offset: 4, status, message: `https://receiver.example answered ${status}.`, attempts: 3 },
      ]);
      // A receiver that has seen 3 learns that there is something that it has not seen.
      expect(world.network.received.at(-1)?.headers["millrace-after"]).toBe("4");
      broken = false;
      await world.append("/s", subscriptionEvent("event-replay-requested", { slug: "audit", offset: 4 }));
      await pass(world, 5_000);
      expect(world.came().slice(5)).toEqual([4]);
      const [first, again] = [world.network.received[1], world.network.received.at(-1)];
      expect(again?.headers["webhook-id"]).toBe(first?.headers["webhook-id"]);
      expect(again?.headers["millrace-after"]).toBe("3");
      expect(world.engine.meter).toMatchObject({ deliveries: 3, deliveryFailures: 3 });
    },
  );

  test("a replay that is refused changes nothing of what lies before the next event", async () => {
    const world = postingWorld(
      answers({ status: 200 }, { status: 422 }, { status: 422 }, { status: 422 }, { status: 200 }),
    );
    await world.append("/s", hook());
    await world.append("/s", { type: "a" });
    const replay = subscriptionEvent("event-replay-requested", { slug: "audit", offset: 3 });
    await world.append("/s", [replay, { type: "b" }]);
    await pass(world, 30_000);
    const after = world.network.received.map(({ headers }) => headers["millrace-after"]);
    expect([world.came(), after]).toEqual([
      [3, 3, 3, 3, 5],
      ["2", "2", "2", "2", "3"],
    ]);
  });

  test("refusals between other failures count, and each event has its own", async () => {
    const world = postingWorld(
      answers({ status: 400 }, { status: 500 }, { status: 400 }, { status: 400 }, { status: 400 }, { status: 200 }),
    );
    await world.append("/s", hook());
    await world.append("/s", [{ type: "a" }, { type: "b" }]);
    await pass(world, 120_000);
    expect(world.came().slice(0, 6)).toEqual([3, 3, 3, 3, 4, 4]);
    expect(await payloads(world, parked)).toEqual([expect.objectContaining({ offset: 3 })]);
  });
});

describe("what must not leave, and what must not come back", () => {
  test("a refused destination is told as an event, once", async () => {
    const world = postingWorld(taken);
    world.network.refuse("https://receiver.example");
    await world.append("/s", hook());
    await world.append("/s", { type: "a" });
    await pass(world, 120_000, 1_000);
    expect(world.network.received).toEqual([]);
    expect(await errorsIn(world)).toEqual([expect.stringContaining("not a public address")]);
  });

  test.each([
    ["one that nobody stored", "{{secret:NONE}}", callbackUrl, "There is no secret NONE."],
    ["one that is pinned to another host", "{{secret:KEY}}", "https://evil.example/hook", "may not be sent there"],
  ])("a secret: %s", async (_, authorization, url, message) => {
    const world = postingWorld(taken);
    world.network.register(url, taken);
    await world.append("/s", hook({ callbackUrl: url, headers: { authorization } }));
    await world.append("/s", { type: "a" });
    await pass(world, 5_000);
    expect(world.network.received).toEqual([]);
    expect(await errorsIn(world)).toEqual([expect.stringContaining(message)]);
  });

  test.each([
    ["as it is", "sk-very-secret"],
    ["in quotes", '{"sent":"Bearer sk-very-secret"}'],
    ["cut in the middle by the excerpt", `${"x".repeat(190)}sk-very-secret`],
    ["without the blank behind it, which no header keeps", '"sk-very-secret"'],
    ["with its slash escaped as PHP does", '{"sent":"sk-very-secret\\/2"}'],
  ])("a receiver that repeats the secret %s does not bring it into an event", async (_, body) => {
    const world = postingWorld(answers({ status: 401, body }));
    const headers = { authorization: "Bearer {{secret:KEY}}", x: "{{secret:BLANK}}", y: "{{secret:SLASH}}" };
    await world.append("/s", hook({ headers }));
    await world.append("/s", { type: "a" });
    await pass(world, 5_000);
    const text = JSON.stringify([await world.events("/s"), await world.engine.state("public", "/s")]);
    expect(text).toContain("answered 401");
    expect(text).not.toContain("sk-very");
    expect(text).not.toContain("/2");
  });
});

test("of two secrets of which one begins like the other, neither comes back in part", async () => {
  const clock = createManualClock();
  const network = createSimulatedNetwork({ clock, random: createSeededRandom(7) });
  network.register(callbackUrl, ({ headers }) => ({ status: 401, body: `got ${headers.a} and ${headers.b}` }));
  const hosts = ["receiver.example"];
  const secrets = plainSecrets({ SHORT: { value: "sk-one", hosts }, LONG: { value: "sk-one-and-more", hosts } });
  const world = pushingWorld({ outbound: network, secrets }, { clock });
  await world.append("/s", hook({ headers: { a: "{{secret:SHORT}}", b: "{{secret:LONG}}" } }));
  await world.append("/s", { type: "a" });
  await pass(world, 5_000);
  expect(await errorsIn(world)).toEqual([
    "https://receiver.example answered 401: got {{secret:SHORT}} and {{secret:LONG}}",
  ]);
});

test("two receivers that refuse everything do not feed each other with what is said about them", async () => {
  const world = postingWorld(() => ({ status: 422 }));
  const other = "https://other.example/hook";
  world.network.register(other, () => ({ status: 422 }));
  await world.append("/s", [hook(), subscription("second", { type: "webhook", callbackUrl: other })]);
  await world.append("/s", { type: "a" });
  await pass(world, 3_600_000, 1_000);
  const { head } = await world.engine.state("public", "/s");
  // The events themselves, and for each receiver an error and a parked event for each of those.
  expect(head).toBeLessThan(14);
  const before = world.network.received.length;
  await pass(world, 3_600_000, 1_000);
  expect([(await world.engine.state("public", "/s")).head, world.network.received.length]).toEqual([head, before]);
});

test("a receiver that hangs holds up no other subscription and no append", async () => {
  const world = postingWorld(() => "never");
  const other = "https://other.example/hook";
  world.network.register(other, taken);
  await world.append("/s", [hook(), subscription("quick", { type: "webhook", callbackUrl: other })]);
  for (let n = 0; n < 10; n++) await world.append("/s", { type: "a" });
  await pass(world, 2_000, 100);
  const { consumers } = await world.engine.state("public", "/s");
  expect(consumers.quick).toMatchObject({ lag: 0 });
  expect(consumers.audit).toMatchObject({ lag: 11 });
});

test("delivery goes on while the stream is paused", async () => {
  const world = postingWorld(taken);
  await world.append("/s", hook());
  await world.append("/s", [{ type: "a" }, paused]);
  await pass(world, 2_000);
  expect(world.came()).toEqual([3, 4]);
});

test("a pause whose commit was not answered is owed to subscriptions all the same: whoever starts next finds it", async () => {
  const lost: Intercept = async ({ operation, arguments: args }, proceed) => {
    const answer = await proceed();
    const { records } = (operation === "append" ? args[0] : {}) as { records?: readonly string[] };
    if (records?.some((record) => record.includes("stream/paused"))) throw new Error("the outcome is unknown");
    return answer;
  };
  const { clock, directory, ...world } = postingWorld(taken, { intercept: lost });
  await world.append("/s", [hook(), transformer("echo", "false", "{}")]);
  for (let n = 0; n < 3; n++) {
    clock.advance(1_000);
    await untilQuiet();
  }
  await world.refusal(world.append("/s", paused));
  // Whoever asks has it loaded again, and what the transformer has to say of the pause is written down.
  await world.engine.state("public", "/s");
  await untilQuiet();
  const { wakes } = await directory.wakes({ after: 0, through: clock.now(), limit: 10 });
  expect(wakes.map(({ path }) => path)).toEqual(["/s"]);
});

test("every event comes in order and at least once, whenever the server crashes", async () => {
  const clock = createManualClock();
  const network = createSimulatedNetwork({ clock, random: createSeededRandom(3) });
  const seen: number[] = [];
  network.register(callbackUrl, ({ body }) => {
    seen.push(JSON.parse(body).offset);
    return { status: seen.length % 5 === 0 ? 500 : 200 };
  });
  const crashing = crashes((options) => posting(network, { clock, ...options }));
  await crashing.world.append("/s", [breakerOff, hook()]);
  for (let n = 0; n < 20; n++) {
    await crashing.world.append("/s", { type: "a" });
    clock.advance(15);
    await untilQuiet();
    if (n % 3 === 0) crashing.crash();
  }
  await pass(crashing.world, 120_000);
  const firstTimes = [...new Set(seen)];
  const sent = (await ofType(crashing.world, "a")).map(({ offset }) => offset);
  expect(firstTimes.filter((offset) => sent.includes(offset))).toEqual(sent);
  expect(firstTimes).toEqual([...firstTimes].sort((a, b) => a - b));
});

test.each(["__proto__", "constructor", "\ud800", "a/b%c\n\u{1f600}", "tree"])(
  "a slug of %j is as good as any",
  async (slug) => {
    const world = postingWorld(taken);
    const inputs = [{ event: subscription(slug, { type: "webhook", callbackUrl }) }];
    const appended = await world.engine.append("public", "/s", inputs, { bytes: 1 });
    const made = await world.engine.signingSecrets("public", "/s", appended);
    expect(Object.entries(made)).toEqual([[slug, expect.stringMatching(/^whsec_/)]]);
    await world.append("/s", { type: "a" });
    await pass(world, 2_000);
    expect(world.came()).toEqual([3]);
    expect(world.network.received[0]?.headers["webhook-id"]).toMatch(/^[!-~]+$/);
    const { consumers } = await world.engine.state("public", "/s");
    const listed = slug === "tree" ? "subscription/tree" : slug;
    expect(Object.entries(consumers)).toContainEqual([
      listed,
      expect.objectContaining({ kind: "subscription", cursor: 3 }),
    ]);
  },
);

test("an event whose hook was ended while its parking was written comes again, and never after itself", async () => {
  const { opened, open } = gate();
  const slow: Intercept = async ({ operation, arguments: args }, proceed) => {
    if (operation === "append" && JSON.stringify(args[0]).includes("event-parked")) await opened;
    return proceed();
  };
  const world = postingWorld(answers({ status: 422 }, { status: 422 }, { status: 422 }, { status: 200 }), {
    intercept: slow,
  });
  await world.append("/s", hook());
  await world.append("/s", { type: "a" });
  await pass(world, 20_000);
  expect(world.came()).toEqual([3, 3, 3]);
  await pass(world, 16 * 60_000, 10_000);
  open();
  await pass(world, 60_000);
  const sent = world.network.received.map(({ headers, body }) => [JSON.parse(body).offset, headers["millrace-after"]]);
  expect(sent.filter(([offset]) => offset === 3)).toEqual(Array.from({ length: 4 }, () => [3, "2"]));
});
