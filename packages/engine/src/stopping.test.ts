/** Whatever is asked of an engine that stops is refused as such: a closed log is no fault that anybody has to look into. */
import { expect, test } from "vitest";
import { createWorld } from "../test/world.ts";

test("everything is refused as unavailable once it stops", async () => {
  const world = createWorld();
  const { engine } = world;
  await world.append("/a/b", { type: "a" });
  await engine.close();
  const attempts = [
    async () => engine.append("public", "/a/b", [{ event: { type: "a" } }], { bytes: 1 }),
    async () => engine.delete("public", "/a/b", { children: false }),
    async () => engine.delete("public", "/a", { children: true }),
    async () => engine.state("public", "/a/b"),
    async () => engine.processorState("public", "/a/b", "pause", undefined),
    async () => engine.list({ project: "public", prefix: "/", depth: "all", limit: 10 }),
    async () => engine.projects({ limit: 10 }),
    async () => engine.read("public", "/a/b", { after: 0 }, new AbortController().signal).next(),
  ];
  for (const attempt of attempts) expect(await world.refusal(attempt())).toMatchObject({ code: "unavailable" });
  expect(world.failures).toEqual([]);
});
