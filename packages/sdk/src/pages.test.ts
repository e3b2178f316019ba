/** When pages are asked for: the next one while one is worked on, never more, and none that nobody may want. */
import { expect, test } from "vitest";
import { createEventsClient } from "./client.ts";

const pageEvents = 1_000;

/** A history of so many events; hears what is asked for. */
function historyOf(count: number) {
  const asked: string[] = [];
  const client = createEventsClient({
    baseUrl: "http://localhost",
    retry: false,
    async fetch({ url }) {
      const { searchParams } = new URL(url);
      const after = Number(searchParams.get("after") ?? 0);
      const limit = Number(searchParams.get("limit"));
      asked.push(`${limit} after ${after}`);
      const last = Math.min(after + limit, count);
      const events = Array.from({ length: last - after }, (_, i) => ({ offset: after + i + 1 }));
      return Response.json({ events, next: last < count ? String(last) : null });
    },
  });
  return { client, asked };
}

test("the next page is asked for with the first event of one, the one behind it is not", async () => {
  const { client, asked } = historyOf(3 * pageEvents);
  const events = client.read("a");
  expect((await events.next()).value).toMatchObject({ offset: 1 });
  expect(asked).toEqual(["1000 after 0", "1000 after 1000"]);
  for (let offset = 2; offset <= pageEvents; offset++) await events.next();
  expect(asked).toHaveLength(2);
  expect((await events.next()).value).toMatchObject({ offset: pageEvents + 1 });
  expect(events.cursor).toBe("1001");
  expect(asked).toEqual(["1000 after 0", "1000 after 1000", "1000 after 2000"]);
  await events.return();
});

test.each([
  ["a limit of one page", 1_000, ["1000 after 0"]],
  ["a limit within the second", 1_500, ["1000 after 0", "500 after 1000"]],
  ["no limit", undefined, ["1000 after 0", "1000 after 1000", "1000 after 2000"]],
])("%s", async (_, limit, expected) => {
  const { client, asked } = historyOf(3 * pageEvents);
  let offset = 0;
  for await (const event of client.read("a", limit === undefined ? {} : { limit })) {
    expect(event.offset).toBe(++offset);
  }
  expect(offset).toBe(limit ?? 3 * pageEvents);
  expect(asked).toEqual(expected);
});

test("a next page that fails is an error where it is reached, behind all events before it", async () => {
  let requests = 0;
  const client = createEventsClient({
    baseUrl: "http://localhost",
    retry: false,
    async fetch() {
      if (++requests === 2) throw new TypeError("cut off");
      return Response.json({ events: [{ offset: 1 }, { offset: 2 }], next: "2" });
    },
  });
  const events = client.read("a");
  await events.next();
  expect((await events.next()).value).toMatchObject({ offset: 2 });
  await expect(events.next()).rejects.toMatchObject({ code: "unreachable" });
});
