/** `includeChildren`: every stream below a path on one connection, resumed by one token. */
import type { StreamEvent } from "@millrace/protocol";
import { createSeededRandom } from "@millrace/testing";
import { expect, test } from "vitest";
import { append, freshPath, readJson, refused } from "./calls.ts";
import { openLive } from "./live-reader.ts";
import { describeEach, type TestServer } from "./servers.ts";

const place = ({ streamPath, offset }: StreamEvent) => `${streamPath}@${offset}`;

describeEach("a subtree", (server) => {
  test("is one stream of events in the order of commits, its own root included, its neighbours not", async () => {
    const top = freshPath("tree");
    await append(server(), `${top}-neighbour`, { type: "not-here" });
    await append(server(), top, { type: "a" });
    await append(server(), `${top}/x`, [{ type: "b" }, { type: "c" }]);
    await append(server(), top, { type: "d" });
    const { events, next } = await readJson(server(), `${top}?includeChildren=true&format=json`);
    const types = events.map(({ type }: StreamEvent) => type).filter((type: string) => /^[a-z]$/.test(type));
    expect(types).toEqual(["a", "b", "c", "d"]);
    expect(next).toBe(null);
    expect(new Set(events.map((event: StreamEvent) => event.streamPath))).toEqual(new Set([top, `${top}/x`]));
  });

  test("comes in pages that join without gap or duplicate, also in the middle of a batch", async () => {
    const top = freshPath("tree");
    for (const child of ["x", "y"]) await append(server(), `${top}/${child}`, Array(5).fill({ type: "t" }));
    const whole = await subtree(server(), top);
    const paged: StreamEvent[] = [];
    for (let after = ""; ; ) {
      const page = await readJson(server(), `${top}?includeChildren=true&format=json&type=t&limit=3${after}`);
      paged.push(...page.events);
      if (page.next === null) break;
      after = `&after=${page.next}`;
    }
    expect(paged.map(place)).toEqual(whole.filter(({ type }) => type === "t").map(place));
  });

  test("goes on live, with streams that come later, filtered by type", async () => {
    const top = freshPath("tree");
    await append(server(), `${top}/old`, { type: "wanted" });
    const reader = await openLive(server(), `${top}?includeChildren=true&live=true&type=wanted&markers=true`);
    expect((await reader.event()).streamPath).toBe(`${top}/old`);
    await append(server(), `${top}/new/deep`, [{ type: "other" }, { type: "wanted" }]);
    expect(await reader.event()).toMatchObject({ streamPath: `${top}/new/deep`, offset: 3 });
    reader.close();
  });

  test("from its end only what is new", async () => {
    const top = freshPath("tree");
    await append(server(), `${top}/old`, { type: "t" });
    const reader = await openLive(server(), `${top}?includeChildren=true&live=true&afterOffset=end&type=t`);
    await append(server(), `${top}/new`, { type: "t" });
    expect((await reader.event()).streamPath).toBe(`${top}/new`);
    reader.close();
  });

  test("refuses what has no meaning in it", async () => {
    const top = freshPath("tree");
    for (const query of [
      "order=desc",
      "beforeOffset=3",
      "afterOffset=3",
      "after=x",
      "after=1-",
      "live=true&format=json",
    ]) {
      const response = await server().send(`${top}?includeChildren=true&${query}`);
      expect(await refused(response, "invalid_request"), query).toBeDefined();
    }
  });
});

describeEach(
  "1,000 streams",
  (server) => {
    test("over connections that drop at random: each offset exactly once, in order in its stream", async () => {
      const top = freshPath("many");
      const end = `${top}/end`;
      const streams = 1_000;
      const random = createSeededRandom(7);
      const expected = new Set<string>();
      const seen: string[] = [];
      let writing = true;

      const write = (async () => {
        for (let round = 0; round < 3; round++) {
          for (let from = 0; from < streams; from += 50) {
            const answers = Array.from({ length: 50 }, (_, i) =>
              append(server(), `${top}/${(from + i) % 10}/s${from + i}`, [{ type: "t" }, { type: "t" }]),
            );
            for (const event of (await Promise.all(answers)).flat()) expected.add(place(event));
          }
        }
        writing = false;
        // The reader may have seen everything already and wait for more: this is more.
        await append(server(), end, { type: "t" });
      })();

      let token = "";
      while (writing || seen.length < expected.size) {
        const headers: Record<string, string> = token === "" ? {} : { "last-event-id": token };
        const reader = await openLive(server(), `${top}?includeChildren=true&live=true&type=t`, headers);
        const until = 1 + random.integer(400);
        for (let frames = 0; frames < until && (writing || seen.length < expected.size); frames++) {
          const frame = (await reader.frame()) ?? "";
          token = /^id: (\S+)$/m.exec(frame)?.[1] ?? token;
          const data = /^data: (.*)$/m.exec(frame)?.[1];
          const event = data === undefined ? undefined : (JSON.parse(data) as StreamEvent);
          if (event !== undefined && event.streamPath !== end) seen.push(place(event));
        }
        reader.close();
      }
      await write;
      expect(seen.length).toBe(new Set(seen).size);
      expect(new Set(seen)).toEqual(expected);
      const last = new Map<string, number>();
      for (const [path, offset] of seen.map((text) => text.split("@") as [string, string])) {
        expect(Number(offset)).toBeGreaterThan(last.get(path) ?? 0);
        last.set(path, Number(offset));
      }
    });
  },
  { limits: { openStreams: 200 } },
);

async function subtree(server: TestServer, top: string): Promise<StreamEvent[]> {
  return (await readJson(server, `${top}?includeChildren=true&format=json`)).events;
}
