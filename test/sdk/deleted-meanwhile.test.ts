/** A stream that is deleted while its reader has no connection: told like a deletion that was seen, and never mixed. */
import { createEventsClient, type EventStream, type StreamEvent, type StreamOptions } from "@millrace/sdk";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sharedServer } from "../processes/shared-server.ts";
import { type CuttingProxy, startCuttingProxy } from "./cutting-proxy.ts";

const server = sharedServer();
let proxy: CuttingProxy;
let streams = 0;

beforeEach(async () => {
  proxy = await startCuttingProxy(server.url);
});
afterEach(() => proxy.close());

const direct = () => createEventsClient({ baseUrl: server.url });

/** A reader whose connections can be cut, and which then comes back no sooner than something was done. */
function interruptible() {
  let held: Promise<void> = Promise.resolve();
  const client = createEventsClient({
    baseUrl: proxy.url,
    retry: { baseMs: 5, maxMs: 50 },
    async fetch(request) {
      await held;
      return fetch(request);
    },
  });
  async function whileAway(act: () => Promise<unknown>): Promise<void> {
    let release = () => {};
    held = new Promise((resolve) => {
      release = resolve;
    });
    proxy.cut();
    await act();
    release();
  }
  return { client, whileAway };
}

/** Reads until the history is given out, does something while there is no connection, and says what came after that. */
async function readOver(
  path: string,
  options: StreamOptions,
  act: () => Promise<unknown>,
  isLast: (event: StreamEvent) => boolean = () => false,
): Promise<{ events: StreamEvent[]; ended: boolean }> {
  const { client, whileAway } = interruptible();
  let caughtUp = () => {};
  const history = new Promise<void>((resolve) => {
    caughtUp = resolve;
  });
  const reader: EventStream = client.stream(path, { ...options, onCaughtUp: () => caughtUp() });
  const events: StreamEvent[] = [];
  let ended = true;
  const reading = (async () => {
    for await (const event of reader) {
      events.push(event);
      if (!isLast(event)) continue;
      ended = false;
      break;
    }
  })();
  await history;
  events.length = 0;
  await whileAway(act);
  await reading;
  return { events, ended };
}

describe.each<[reader: string, options: StreamOptions]>([
  ["a reader", {}],
  ["a reader of one type", { types: ["old", "new"] }],
  ["a tail to which nothing had come yet", { after: "end" }],
])("%s", (_, options) => {
  test.each<[next: string, again: boolean]>([
    ["and nothing is there since", false],
    ["and another stream is there since", true],
  ])("hears that its stream was deleted, %s", async (_, again) => {
    const path = `/deleted-${++streams}`;
    await direct().append(path, [{ type: "old" }, { type: "old" }]);
    const { events, ended } = await readOver(path, options, async () => {
      await direct().delete(path);
      if (again) await direct().append(path, { type: "new" });
    });
    expect({ events, ended }).toEqual({ events: [], ended: true });
  });
});

test("a position of an earlier life leads into the next one", async () => {
  const path = `/deleted-${++streams}`;
  await direct().append(path, { type: "old" });
  await direct().delete(path);
  await direct().append(path, { type: "new" });
  const { client } = interruptible();
  const reader = client.stream(path, { after: 2 });
  expect((await reader.next()).value).toMatchObject({ offset: 3, payload: { path } });
  expect((await reader.next()).value).toMatchObject({ offset: 4, type: "new" });
  await reader.return();
});

test.each<[what: string, options: StreamOptions]>([
  ["everything", {}],
  ["one type", { types: ["new", "last"] }],
])("who waits for a stream reads %s of it, also when it is born while there is no connection", async (_, options) => {
  const path = `/unborn-${++streams}`;
  const { events, ended } = await readOver(
    path,
    options,
    () => direct().append(path, [{ type: "new" }, { type: "last" }]),
    ({ type }) => type === "last",
  );
  expect(ended).toBe(false);
  expect(events.map(({ type }) => type).slice(-2)).toEqual(["new", "last"]);
});

test("a birth that was seen counts: the next one is of another stream", async () => {
  const path = `/born-${++streams}`;
  const { client, whileAway } = interruptible();
  const reader = client.stream(path);
  const first = reader.next();
  await direct().append(path, { type: "old" });
  expect((await first).value).toMatchObject({ offset: 1 });
  expect((await reader.next()).value).toMatchObject({ offset: 2 });
  await whileAway(async () => {
    await direct().delete(path);
    await direct().append(path, { type: "new" });
  });
  expect(await reader.next()).toEqual({ done: true, value: undefined });
});

test("a subtree goes on: it has many streams, and some of them may end", async () => {
  const top = `/tree-${++streams}`;
  await direct().append(`${top}/a`, { type: "old" });
  const { events } = await readOver(
    top,
    { includeChildren: true },
    async () => {
      await direct().delete(`${top}/a`);
      await direct().append(`${top}/a`, { type: "new" });
    },
    ({ type }) => type === "new",
  );
  expect(events.at(-1)).toMatchObject({ streamPath: `${top}/a`, type: "new" });
});

test("a history that was not whole when its stream was deleted is an error, not an end", async () => {
  const path = `/history-${++streams}`;
  const pageful = Array.from({ length: 1_000 }, () => ({ type: "old" }));
  for (let page = 0; page < 3; page++) await direct().append(path, pageful);
  const reader = direct().read(path);
  let read = 0;
  const reading = (async () => {
    for await (const _ of reader) if (++read === 1_000) await direct().delete(path);
  })();
  await expect(reading).rejects.toMatchObject({ code: "deleted_while_read", data: { path } });
  // The page behind the first was on its way; the last was not.
  expect([1_000, 2_000]).toContain(read);
});
