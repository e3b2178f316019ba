/** Where a read goes on: a token on the left, the events or the refusal on the right. */
import type { StreamEvent } from "@millrace/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createWorld, type World } from "./world.ts";

let world: World;

beforeAll(async () => {
  world = createWorld();
  // The root has no ancestors to hear of it, so these are the only two commits there are.
  await world.append("/", [{ type: "a" }, { type: "b" }]);
  await world.append("/", [{ type: "c" }, { type: "d" }]);
});
afterAll(() => world.engine.close());

const stream = "/?format=json";
const subtree = "/?format=json&includeChildren=true";
const a100 = "a".repeat(100);

type Row = [token: string, read: string];

const ofStream: Row[] = [
  ["0", "1 2 3 4 5"],
  ["3", "4 5"],
  ["0003", "4 5"],
  ["5", ""],
  // Of another database, or of one that began anew.
  ["6", "412 There is no event 6: the head is 5."],
  ["9007199254740991", "412 There is no event 9007199254740991: the head is 5."],
  ["9007199254740992", "400 9007199254740992"],
  ["11111111111111111", "400 11111111111111111"],
  ["start", "400 start"],
  ["end", "400 end"],
  ["-1", "400 -1"],
  ["+1", "400 +1"],
  ["1.5", "400 1.5"],
  ["1e1", "400 1e1"],
  ["0x1", "400 0x1"],
  ["1-1", "400 1-1"],
  ["3,4", "400 3,4"],
  [`${a100}b`, `400 ${a100}`],
];

const ofSubtree: Row[] = [
  ["0", "1 2 3 4 5"],
  ["1-1", "2 3 4 5"],
  ["1-2", "3 4 5"],
  ["1", "4 5"],
  ["2-1", "5"],
  ["2", ""],
  ["02", ""],
  // No such place in the commit: what is behind the commit.
  ["1-9", "4 5"],
  ["3", foreign(3)],
  ["3-1", foreign(3)],
  ["999999999999999", foreign(999_999_999_999_999)],
  ["1000000000000000", "400 1000000000000000"],
  ["1-1000000000", "400 1-1000000000"],
  ["start", "400 start"],
  ["end", "400 end"],
  ["1-0", "400 1-0"],
  ["0-1", "400 0-1"],
  ["01-1", "400 01-1"],
  ["1-", "400 1-"],
  ["-1", "400 -1"],
  ["1-1-1", "400 1-1-1"],
  ["1.5", "400 1.5"],
  ["8:1", "400 8:1"],
  [`${a100}b`, `400 ${a100}`],
];

function foreign(position: number): string {
  return `412 There is no commit ${position}: the last one is 2. The token is of another database; read from the start.`;
}

describe.each([
  ["of a stream", stream, ofStream, "is the next of a page or the id of an event, which is its offset"],
  ["of a subtree", subtree, ofSubtree, "is the next of a page or the id of an event of the subtree"],
] as const)("a token %s", (_, target, rows, words) => {
  test.each(rows)("%s: %s", async (token, read) => {
    const said = (name: string) => read.replace(/^400 (.*)$/, `400 ${name} ${words}; got "$1".`);
    const inQuery = await world.send(`${target}&after=${encodeURIComponent(token)}`);
    expect(await summaryOf(inQuery, "after")).toBe(said("after"));
    const inHeader = await world.send(`${target}&after=0`, { headers: { "last-event-id": token } });
    expect(await summaryOf(inHeader, "Last-Event-ID")).toBe(said("Last-Event-ID"));
    // A live read is refused at once as well: it would wait for ever at a place that never comes.
    if (!/^4\d\d /.test(read)) return;
    const live = await world.send(`${target.replace("json", "sse")}&live=true&after=${encodeURIComponent(token)}`);
    expect(await summaryOf(live, "after")).toBe(said("after"));
  });

  test("each that the server gives leads on, without gap or duplicate", async () => {
    const { events } = await (await world.send(target)).json();
    const ids = [...(await (await world.send(target.replace("json", "sse"))).text()).matchAll(/^id: (.*)$/gm)];
    expect(ids).toHaveLength(events.length);
    for (const [index, [, id]] of ids.entries()) {
      const rest = await (await world.send(`${target}&after=${id}`)).json();
      expect(rest).toEqual({ events: events.slice(index + 1), next: null });
      const page = await (await world.send(`${target}&limit=${index + 1}`)).json();
      expect(page.next).toBe(index + 1 === events.length ? null : id);
    }
  });
});

test("an empty Last-Event-ID is none, as browsers send it; an empty `after` is a mistake in a single stream", async () => {
  for (const target of [stream, subtree]) {
    const answer = await world.send(target, { headers: { "last-event-id": "" } });
    expect(await summaryOf(answer, "")).toBe("1 2 3 4 5");
  }
  expect((await world.send(`${stream}&after=`)).status).toBe(400);
});

/** Offsets of what was read, or the status and the detail of the refusal. */
async function summaryOf(response: Response, field: string): Promise<string> {
  const body = await response.json();
  if (response.status === 200) return body.events.map(({ offset }: StreamEvent) => offset).join(" ");
  expect(body.code).toBe(response.status === 412 ? "offset_conflict" : "invalid_request");
  if (response.status === 400) expect(body.field).toBe(field);
  return `${response.status} ${body.detail}`;
}
