/** A processor that is pushed to: what it believes, what it does with what comes twice, too late or with a gap. */
import { createWebhookHandler, defineProcessor, memoryCursors, type StreamEvent } from "@millrace/sdk/processor";
import { Webhook } from "standardwebhooks";
import { expect, onTestFinished, test } from "vitest";
import { builtin, signalled, startWorld, type World } from "./world.ts";

const signingSecret = "c2lnbmluZyBrZXkgb2YgdGhlIHRlc3Q=";

const counting = (acted: number[], seen: number[] = []) =>
  defineProcessor<number>({
    slug: "counting",
    initialState: 0,
    reduce: ({ state, event }) => (event.type === "tick" ? state + 1 : state),
    async afterAppend({ event, state, append }) {
      if (event.type !== "tick") return;
      acted.push(event.offset);
      seen.push(state);
      await append({ type: "counted", payload: state });
    },
  });

/** A stream with ten ticks, offsets 2 to 11, and a handler that nobody pushes to but the test. */
async function scene(options: { path?: string } = {}) {
  const world = await startWorld();
  const acted: number[] = [];
  const seen: number[] = [];
  const appended = await world.client.append(
    "/pushed",
    Array.from({ length: 10 }, () => ({ type: "tick" })),
  );
  const client = world.direct();
  const handler = createWebhookHandler({ client, processor: counting(acted, seen), signingSecret, ...options });
  onTestFinished(() => handler.stop());
  const { streamId } = await client.state("/pushed");
  return { world, handler, acted, seen, streamId, tick: (n: number) => appended.events[n - 1] as StreamEvent };
}

function delivery(event: unknown, streamId: string, after: number, secret = signingSecret): Request {
  const body = JSON.stringify(event);
  const { offset } = event as { offset: number };
  const id = `${streamId}.${offset}.counting`;
  const at = new Date();
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
    "webhook-signature": new Webhook(secret).sign(id, at, body),
    "millrace-after": String(after),
  };
  return new Request("http://receiver/", { method: "POST", headers, body });
}

const counted = async (world: World) => (await world.read("/pushed")).filter(({ type }) => type === "counted");

test("each is acted on and answered when that is done; the state holds what came before", async () => {
  const { handler, tick, streamId, acted, seen, world } = await scene();
  const first = await handler(delivery(tick(3), streamId, 3));
  expect(first.status).toBe(204);
  expect((await handler(delivery(tick(4), streamId, 4))).status).toBe(204);
  expect(acted).toEqual([4, 5]);
  // It has read the two ticks before them, and acts on neither.
  expect(seen).toEqual([3, 4]);
  expect(await counted(world)).toHaveLength(2);
});

test("what comes twice, also at the same time, is acted on once and answered as taken", async () => {
  const { handler, tick, streamId, acted, world } = await scene();
  const answers = await Promise.all([1, 2, 3].map(() => handler(delivery(tick(3), streamId, 3))));
  expect(answers.map(({ status }) => status)).toEqual([204, 204, 204]);
  expect((await handler(delivery(tick(3), streamId, 3))).status).toBe(204);
  expect(acted).toEqual([4]);
  expect(await counted(world)).toHaveLength(1);
});

test("what is older than what it has acted on is taken, and not acted on", async () => {
  const { handler, tick, streamId, acted } = await scene();
  await handler(delivery(tick(5), streamId, 5));
  expect((await handler(delivery(tick(3), streamId, 3))).status).toBe(204);
  expect(acted).toEqual([6]);
});

test("a gap that the delivery does not prove to be empty is read, and acted on in order", async () => {
  const { handler, tick, streamId, acted } = await scene();
  await handler(delivery(tick(2), streamId, 2));
  expect((await handler(delivery(tick(6), streamId, 6))).status).toBe(204);
  expect(acted).toEqual([3, 4, 5, 6, 7]);
});

test("what lies in a range that is proven is not for it", async () => {
  const { handler, tick, streamId, acted } = await scene();
  await handler(delivery(tick(2), streamId, 2));
  expect((await handler(delivery(tick(6), streamId, 3))).status).toBe(204);
  expect(acted).toEqual([3, 7]);
});

test("while the stream is paused it takes what comes, and acts on it at the resumption, also after a restart", async () => {
  for (const restarts of [false, true]) {
    const { client, read } = await startWorld();
    const path = "/paused";
    const acted: number[] = [];
    const processor = defineProcessor<null>({
      slug: "witness",
      initialState: null,
      reduce: () => null,
      afterAppend: ({ event }) => void acted.push(event.offset),
    });
    const cursors = memoryCursors();
    const start = () => createWebhookHandler({ client, processor, signingSecret, cursors });
    let handler = start();
    await client.append(path, [{ type: "tick" }, { type: builtin("paused") }]);
    const { streamId } = await client.state(path);
    const [, tick, paused] = await read(path);
    expect((await handler(delivery(tick, streamId, 1))).status).toBe(204);
    expect((await handler(delivery(paused, streamId, 2))).status).toBe(204);
    expect(acted).toEqual([2]);
    if (restarts) {
      await handler.stop();
      handler = start();
    }
    const { event: resumed } = await client.append(path, { type: builtin("resumed") });
    expect((await handler(delivery(resumed, streamId, 3))).status).toBe(204);
    expect(acted).toEqual([2, 3, 4]);
    await handler.stop();
  }
});

test("work whose append a pause refuses before the news of it has come is settled at the resumption", async () => {
  const { client, read } = await startWorld();
  const path = "/refused";
  const asked = signalled<void>();
  const refused = signalled<string>();
  const processor = defineProcessor<null>({
    slug: "asker",
    initialState: null,
    reduce: () => null,
    afterAppend({ event, waitUntil }) {
      if (event.type !== "ask") return;
      waitUntil("call", async ({ append }) => {
        await asked.promise;
        await append({ type: "answer" }).catch((error) => {
          refused.resolve(error.code);
          throw error;
        });
      });
    },
    async afterCatchUp({ append, interrupted }) {
      for (const { name } of interrupted?.work ?? []) await append({ type: "interrupted", payload: name });
    },
  });
  const handler = createWebhookHandler({ client, processor, signingSecret });
  onTestFinished(() => handler.stop());
  const { event: ask } = await client.append(path, { type: "ask" });
  const { streamId } = await client.state(path);
  expect((await handler(delivery(ask, streamId, 1))).status).toBe(204);
  const { event: paused } = await client.append(path, { type: builtin("paused") });
  asked.resolve();
  expect(await refused.promise).toBe("stream_paused");
  expect((await handler(delivery(paused, streamId, 2))).status).toBe(204);
  const { event: resumed } = await client.append(path, { type: builtin("resumed") });
  expect((await handler(delivery(resumed, streamId, 3))).status).toBe(204);
  const types = (await read(path)).map(({ type }) => type);
  expect(types.filter((type) => ["answer", "interrupted", builtin("error-occurred")].includes(type))).toEqual([
    "interrupted",
  ]);
});

test("work that fails when its stream takes no news any more is told of at the resumption", async () => {
  const { client, read } = await startWorld();
  const path = "/failed";
  const asked = signalled<void>();
  const refused = signalled<void>();
  const processor = defineProcessor<null>({
    slug: "asker",
    initialState: null,
    reduce: () => null,
    afterAppend({ event, waitUntil }) {
      if (event.type !== "ask") return;
      waitUntil("call", async () => {
        await asked.promise;
        throw new Error("the model is away");
      });
    },
  });
  const observer = { onFailure: () => refused.resolve() };
  const handler = createWebhookHandler({ client, processor, signingSecret, observer });
  onTestFinished(() => handler.stop());
  const { event: ask } = await client.append(path, { type: "ask" });
  const { streamId } = await client.state(path);
  expect((await handler(delivery(ask, streamId, 1))).status).toBe(204);
  const { event: paused } = await client.append(path, { type: builtin("paused") });
  asked.resolve();
  await refused.promise;
  expect((await handler(delivery(paused, streamId, 2))).status).toBe(204);
  const { event: resumed } = await client.append(path, { type: builtin("resumed") });
  expect((await handler(delivery(resumed, streamId, 3))).status).toBe(204);
  const errors = (await read(path)).filter(({ type }) => type === builtin("error-occurred"));
  expect(errors.map(({ payload }) => (payload as { message: string }).message)).toEqual([
    'The work "call" was interrupted. It is not run again by itself.',
  ]);
});

test("a handler for each request, over shared cursors: each goes on where the last one was, from its snapshot", async () => {
  const { world, acted, seen, streamId } = await scene();
  const client = world.direct();
  for (let i = 0; i < 3; i++) {
    await client.append(
      "/pushed",
      Array.from({ length: 1_000 }, () => ({ type: "tock" })),
    );
  }
  const { events } = await client.append("/pushed", [{ type: "tick" }, { type: "tick" }]);
  const cursors = memoryCursors();
  const reduced: number[] = [];
  for (const event of events) {
    let count = 0;
    const observer = { onReduced: () => void count++ };
    const options = { client, processor: counting(acted, seen), signingSecret, cursors, observer };
    const response = await createWebhookHandler(options)(delivery(event, streamId, event.offset - 1));
    expect(response.status).toBe(204);
    reduced.push(count);
  }
  expect([acted, seen]).toEqual([events.map(({ offset }) => offset), [11, 12]]);
  // Of what the first one has folded there is a snapshot.
  expect(reduced).toEqual([events[0]?.offset, 1]);
});

test.each<[what: string, status: number, message: string, make: (s: Awaited<ReturnType<typeof scene>>) => Request]>([
  [
    "another key",
    401,
    "The signature does not hold",
    ({ tick, streamId }) => delivery(tick(3), streamId, 3, "YW5vdGhlciBrZXkgb2YgdGhlIHRlc3Q="),
  ],
  [
    "no signature",
    401,
    "The signature does not hold",
    ({ tick }) => new Request("http://receiver/", { method: "POST", body: JSON.stringify(tick(3)) }),
  ],
  [
    "what is no event",
    401,
    "no jsonataTransform",
    ({ streamId }) => delivery({ offset: 3, text: "transformed" }, streamId, 3),
  ],
  [
    "another stream",
    404,
    "counting takes deliveries of /pushed, not of /other",
    ({ tick, streamId }) => delivery({ ...tick(3), streamPath: "/other" }, streamId, 3),
  ],
  ["a look", 405, "Deliveries are POST requests", () => new Request("http://receiver/")],
])("%s is refused with %i: %s", async (_, status, message, make) => {
  const made = await scene({ path: "/pushed" });
  const response = await made.handler(make(made));
  expect([response.status, await response.text()]).toEqual([status, expect.stringContaining(message)]);
  expect(made.acted).toEqual([]);
});

test("a processor that goes no further says so with slug, path and offset, and does not park the event", async () => {
  const world = await startWorld();
  const { events } = await world.client.append("/pushed", [{ type: "tick" }]);
  const client = world.direct();
  const broken = defineProcessor({
    slug: "broken",
    initialState: null,
    reduce({ event }) {
      if (event.type === "tick") throw new Error("cannot fold this");
    },
    afterAppend() {},
  });
  const handler = createWebhookHandler({ client, processor: broken, signingSecret });
  onTestFinished(() => handler.stop());
  const { streamId } = await client.state("/pushed");
  const response = await handler(delivery(events[0], streamId, 1));
  expect(response.status).toBe(500);
  expect(await response.text()).toMatch(/^broken at \/pushed@2: .*cannot fold this/);
});
