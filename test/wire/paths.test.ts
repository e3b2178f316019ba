/**
 * What is a path. The rows of text and value stand beside the code (`packages/protocol/src/paths.test.ts`) and over the
 * wire (`test/http/paths.test.ts`); here are the closed sets: every character, and every first segment that is taken.
 */
import { readFileSync } from "node:fs";
import { isCanonicalPath } from "@millrace/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createWorld, type World } from "./world.ts";

const protocol = readFileSync(new URL("../../PROTOCOL.md", import.meta.url), "utf8");
let world: World;
beforeAll(() => {
  world = createWorld();
});
afterAll(() => world.engine.close());

const characters = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code));
const inWords = "A-Z a-z 0-9 . _ ~ @ : + = -";

test("of all characters a segment may have those of the list, and no others", async () => {
  expect(protocol.replace(/\s+/g, " ")).toContain(`1 to 255 of \`${inWords}\``);
  const listed = new RegExp(`^[${inWords.replaceAll(" ", "")}]$`);
  const accepted: string[] = [];
  for (const character of characters) {
    const encoded = encodeURIComponent(`a${character}b`);
    const { status } = await world.send(`/api/streams/${encoded}`, { method: "POST", body: '{"type":"a"}' });
    if (character === "/") {
      expect(status).toBe(200);
      continue;
    }
    expect([200, 400]).toContain(status);
    if (status === 200) accepted.push(character);
    expect(isCanonicalPath(`/a${character}b`), JSON.stringify(character)).toBe(status === 200);
  }
  expect(accepted).toEqual(characters.filter((character) => listed.test(character)));
  expect(accepted).toHaveLength(26 + 26 + 10 + 8);
});

describe("first segments that belong to the server", () => {
  const listed = /first segments belong to the server: ([^;]*);/.exec(protocol.replace(/\s+/g, " "))?.[1] ?? "";
  const reserved = [...listed.matchAll(/`([^`]+)`/g)].map(([, segment]) => segment as string);

  test("are eleven", () => {
    expect(reserved).toHaveLength(11);
  });

  test.each(reserved)("%s: no stream at the root of the server, and one below /api/streams", async (segment) => {
    for (const target of [
      `/${segment}`,
      `/${segment}/below`,
      `/%${segment.charCodeAt(0).toString(16)}${segment.slice(1)}/below`,
    ]) {
      const { status } = await world.send(target, { method: "POST", body: '{"type":"a"}' });
      expect([404, 405], target).toContain(status);
    }
    const below = await world.send(`/api/streams/${segment}/below`, { method: "POST", body: '{"type":"a"}' });
    expect((await below.json()).event.streamPath).toBe(`/${segment}/below`);
  });

  test.each(["apis", "API", "v2", "Metrics", "well-known", "openapi.yaml", "events", "_millrace2"])(
    "%s is none of them",
    async (segment) => {
      const answer = await world.send(`/${segment}/below`, { method: "POST", body: '{"type":"a"}' });
      expect((await answer.json()).event.streamPath).toBe(`/${segment}/below`);
    },
  );
});
