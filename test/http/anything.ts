/** Bodies, headers and queries of requests, from what is in order to what is not: drawn by the tests of anything. */
import fc from "fast-check";
import { builtin } from "./calls.ts";

const typed = fc.constantFrom(
  "a",
  " ",
  ...["paused", "resumed", "initialized", "append-scheduled", "subscription/configured", "nothing"].map(builtin),
  "https://events.iterate.com/jsonata-transformer-configured",
);

/** Somewhere between an event and none. */
const nearlyEvent = fc
  .record(
    {
      type: fc.oneof(typed, fc.jsonValue()),
      payload: fc.oneof(
        fc.jsonValue(),
        fc.record({ slug: fc.string(), schedule: fc.jsonValue(), append: fc.jsonValue() }),
      ),
      metadata: fc.jsonValue(),
      idempotencyKey: fc.oneof(fc.string({ unit: "binary" }), fc.jsonValue()),
      offset: fc.oneof(fc.nat(3), fc.jsonValue()),
      event: fc.jsonValue(),
      events: fc.jsonValue(),
      __proto__: fc.jsonValue(),
    },
    { requiredKeys: [] },
  )
  .map((event) => ({ ...event }));

const jsonText = fc.oneof(
  fc.json(),
  nearlyEvent.map((value) => JSON.stringify(value)),
  nearlyEvent.map((event) => JSON.stringify({ event })),
  fc.array(nearlyEvent, { maxLength: 5 }).map((value) => JSON.stringify(value)),
  fc.array(fc.oneof(nearlyEvent, fc.jsonValue()), { maxLength: 5 }).map((events) => JSON.stringify({ events })),
  fc
    .array(fc.oneof(nearlyEvent, fc.jsonValue()), { maxLength: 5 })
    .map((list) => list.map((item) => JSON.stringify(item)).join("\n")),
);

/** A text with something torn out of it, or put where it does not belong. */
const brokenText = fc
  .tuple(jsonText, fc.nat(), fc.nat(5), fc.string({ unit: "binary", maxLength: 3 }))
  .map(
    ([text, at, cut, put]) => text.slice(0, at % (text.length + 1)) + put + text.slice((at % (text.length + 1)) + cut),
  );

export const body: fc.Arbitrary<string | Uint8Array> = fc.oneof(
  jsonText,
  brokenText,
  fc.uint8Array({ maxLength: 200 }),
  fc.string({ unit: "binary", maxLength: 100 }),
  fc.webQueryParameters(),
);

const headerText = fc.string({ unit: fc.constantFrom(..."aZ09 -_./;=,@%{}\"'+:*é"), maxLength: 40 });

const contentType = fc.oneof(
  fc.constantFrom(
    "application/json",
    "application/x-ndjson",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/form-data",
    "application/octet-stream",
  ),
  headerText,
);

export const headers = fc.record(
  {
    "content-type": contentType,
    "idempotency-key": headerText,
    "millrace-cause": fc.oneof(fc.constant("/a@1"), headerText),
    "millrace-depth": fc.oneof(fc.nat().map(String), headerText),
    "millrace-processor": headerText,
    "x-project-slug": fc.oneof(fc.constant("public"), headerText),
    "x-github-event": headerText,
    accept: headerText,
  },
  { requiredKeys: [] },
);

const names = [
  "type",
  "raw",
  "project",
  "token",
  "limit",
  "afterOffset",
  "beforeOffset",
  "after",
  "order",
  "format",
  "processor",
  "at",
  "prefix",
  "cursor",
  "deep",
  "markers",
];
export const wellFormed = fc.string({ unit: "binary", maxLength: 20 }).filter((text) => !/\p{Surrogate}/u.test(text));

export const query = fc.oneof(
  fc.constant(""),
  fc
    .array(
      fc.tuple(fc.oneof(fc.constantFrom(...names), wellFormed), fc.oneof(fc.nat(5).map(String), typed, wellFormed)),
      { maxLength: 3 },
    )
    .map(
      (pairs) =>
        `?${pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&")}`,
    ),
  fc.string({ unit: fc.constantFrom(..."a&=%+2F?*!"), maxLength: 20 }).map((text) => `?${text}`),
);
