/** The frames of PROTOCOL.md, byte by byte: text on the left, items on the right. */
import { expect, test } from "vitest";
import { createFrameParser, type Item } from "./frames.ts";

const event = { streamPath: "/me", offset: 2, type: "t", payload: { a: "ü\n" }, createdAt: "2026-11-21T04:28:34.282Z" };
const line = JSON.stringify(event);

const table: [name: string, text: string, items: unknown[]][] = [
  ["opening", ":\nretry: 1000\n\n", []],
  ["event", `id: 2\nevent: message\ndata: ${line}\n\n`, [{ kind: "event", event, cursor: "2" }]],
  [
    "element of a batch",
    'id: 3\nevent: message\ndata: {"streamPath":"/me","offset":3, "type":"t"}\n\n',
    [{ kind: "event", event: { streamPath: "/me", offset: 3, type: "t" }, cursor: "3" }],
  ],
  ["event of a subtree", `id: 8-1\nevent: message\ndata: ${line}\n\n`, [{ kind: "event", event, cursor: "8-1" }]],
  [
    "two events",
    `id: 2\nevent: message\ndata: ${line}\n\n`.repeat(2),
    Array(2).fill({ kind: "event", event, cursor: "2" }),
  ],
  ["sign of life", ":\n\n", []],
  ["sign of life of a filtered read", ":\nid: 7\n\n", [{ kind: "scanned", cursor: "7" }]],
  ["scanned", "id: 1007\n\n", [{ kind: "scanned", cursor: "1007" }]],
  [
    "scanned, then an event",
    `id: 1\n\nid: 2\nevent: message\ndata: ${line}\n\n`,
    [
      { kind: "scanned", cursor: "1" },
      { kind: "event", event, cursor: "2" },
    ],
  ],
  ["caught up", 'id: 5\nevent: caught-up\ndata: {"offset":5}\n\n', [{ kind: "caught-up", cursor: "5" }]],
  [
    "caught up in a subtree",
    'id: 8-1\nevent: caught-up\ndata: {"after":"8-1"}\n\n',
    [{ kind: "caught-up", cursor: "8-1" }],
  ],
  ["deleted", 'event: deleted\ndata: {"streamPath":"/me","head":9}\n\n', [{ kind: "deleted" }]],
  ["a frame of a later version", 'id: 6\nevent: moved\ndata: {"to":"/you"}\n\n', []],
  [
    "carriage returns of a proxy",
    `id: 2\r\nevent: message\r\ndata: ${line}\r\n\r\n`,
    [{ kind: "event", event, cursor: "2" }],
  ],
  [
    "an event that looks like an id behind a line separator",
    'id: 2\nevent: message\ndata: "\u2028id: 7"\n\n',
    [{ kind: "event", event: "\u2028id: 7", cursor: "2" }],
  ],
  ["a frame that was cut off", `id: 2\nevent: message\ndata: ${line}\n`, []],
];

test.each(table)("%s", (_, text, items) => {
  expect(createFrameParser({ filtered: true }).feed(text)).toEqual(items);
  const unfiltered = items.filter((item) => (item as Item).kind !== "scanned");
  expect(createFrameParser().feed(text)).toEqual(unfiltered);
});

test.each(table)("%s, however it is cut into chunks", (_, text, items) => {
  for (let size = 1; size <= text.length; size++) {
    const parser = createFrameParser({ filtered: true });
    const got: Item[] = [];
    for (let at = 0; at < text.length; at += size) got.push(...parser.feed(text.slice(at, at + size)));
    expect(got).toEqual(items);
  }
});

test("the server says how long to wait before connecting again", () => {
  const heard: number[] = [];
  createFrameParser({ onRetry: (ms) => heard.push(ms) }).feed(":\nretry: 1000\n\n");
  expect(heard).toEqual([1000]);
});
