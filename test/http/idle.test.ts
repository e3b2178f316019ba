/** A live reader of a stream in which nothing happens: signs of life, on a clock that the test owns. */
import { createEngine, createMemoryDirectory } from "@millrace/engine";
import { createHandler } from "@millrace/http";
import { createManualClock, createSeededRandom } from "@millrace/testing";
import { expect, test } from "vitest";

test.each<[query: string, sign: string]>([
  ["live=true&afterOffset=end", ":\n\n"],
  ["live=true&afterOffset=end&type=nothing", ":\nid: 2\n\n"],
  ["live=true&afterOffset=end&format=ndjson", ""],
])("?%s says every 15 seconds %j", async (query, sign) => {
  const clock = createManualClock();
  const engine = createEngine({ directory: createMemoryDirectory(), clock, random: createSeededRandom(1) });
  const handler = createHandler({ engine });
  const send = (target: string, init?: RequestInit) => handler.fetch(new Request(`http://localhost${target}`, init));
  await send("/quiet", { method: "POST", body: '{"type":"a"}' });

  const { body } = await send(`/quiet?${query}`);
  const chunks = (body as ReadableStream<Uint8Array>).getReader();
  const next = async () => new TextDecoder().decode((await chunks.read()).value);
  if (!query.includes("ndjson")) expect(await next()).toBe(":\nretry: 1000\n\n");
  const seconds = async (count: number) => {
    for (let n = 0; n < count; n++) {
      await clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  for (let round = 0; round < 3 && sign !== ""; round++) {
    const coming = next();
    let early = true;
    void coming.then(() => {
      early = false;
    });
    await seconds(14);
    expect(early).toBe(true);
    await seconds(1);
    expect(await coming).toBe(sign);
  }
  const event = next();
  await seconds(60);
  await send("/quiet", { method: "POST", body: '{"type":"nothing"}' });
  let text = await event;
  while (!text.includes('"nothing"')) text = await next();
  expect(text).toContain('"offset":3');
  await engine.close();
});
