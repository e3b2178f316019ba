/** The agent of examples/09, deployed, with a model on loopback: what it says, and what ends it. */
import type { StreamEvent } from "@millrace/protocol";
import { expect, test } from "vitest";
import { builtin } from "../processes/http.ts";
import { codeOf, createAgentWorld, key } from "./agent-world.ts";

const world = createAgentWorld();
const start = () => world.agent(codeOf("09-openai-agent.js"));

const payloads = (events: StreamEvent[], type: string) =>
  events.filter((event) => event.type === type).map(({ payload }) => payload as Record<string, unknown>);
const said = (events: StreamEvent[]) =>
  payloads(events, "llm-output-chunk-added")
    .map(({ text }) => text)
    .join("");
const llmTypes = (events: StreamEvent[]) =>
  events.map(({ type }) => type).filter((type, i, all) => type.startsWith("llm-") && type !== all[i - 1]);

test("streams its answer as events, and remembers what was said", async () => {
  const agent = await start();
  const input = await agent.say("tick tock goes");
  const events = await agent.until("llm-request-completed");
  expect(llmTypes(events)).toEqual(["llm-request-started", "llm-output-chunk-added", "llm-request-completed"]);
  expect(said(events)).toBe("goes tock tick");
  expect(payloads(events, "llm-request-completed")).toEqual([{ inputOffset: input, outputText: "goes tock tick" }]);
  const completed = events.at(-1);
  const cause = { streamPath: agent.path, offset: input };
  expect(completed).toMatchObject({ source: { kind: "processor", slug: "agent", cause } });
  expect(world.fake.asked.at(-1)).toMatchObject({
    authorization: `Bearer ${key}`,
    body: { model: "gpt-5.4", stream: true },
  });

  await agent.append({ type: "llm-model-chosen", payload: { model: "gpt-5.4-mini" } });
  await agent.say("again");
  await agent.until("llm-request-completed", 2);
  expect(world.fake.asked.at(-1)?.body).toMatchObject({
    model: "gpt-5.4-mini",
    input: [
      { role: "user", content: "tick tock goes" },
      { role: "assistant", content: "goes tock tick" },
      { role: "user", content: "again" },
    ],
  });
});

test("its chunks are those of 40 ms, however quick the model is", async () => {
  const agent = await start();
  const deltas = Array.from({ length: 400 }, (_, i) => `${i} `);
  world.fake.next({ deltas, everyMs: 1 });
  await agent.say("count");
  const events = await agent.until("llm-request-completed");
  expect(said(events)).toBe(deltas.join(""));
  const chunks = events.filter(({ type }) => type === "llm-output-chunk-added");
  const times = chunks.slice(0, -1).map(({ createdAt }) => Date.parse(createdAt));
  const pauses = times.slice(1).map((time, i) => time - (times[i] as number));
  expect(chunks.length).toBeGreaterThan(3);
  // The clock inside stands still between two arrivals, and an append may take a moment less than the one before.
  expect(Math.min(...pauses)).toBeGreaterThanOrEqual(30);
});

test("who speaks while it answers interrupts it, and the model hears of it", async () => {
  const agent = await start();
  world.fake.next({ deltas: ["half ", "an "], end: "untilLeft" });
  const first = await agent.say("a long story");
  await agent.until("llm-output-chunk-added");
  const interrupted = world.fake.asked.at(-1);
  const second = await agent.say("stop that");
  const events = await agent.until("llm-request-completed");
  expect(await interrupted?.left).toBe(true);
  expect(payloads(events, "llm-request-canceled")).toEqual([{ inputOffset: first }]);
  expect(payloads(events, "llm-request-completed")).toEqual([{ inputOffset: second, outputText: "that stop" }]);
  expect(world.fake.asked.at(-1)?.body.input).toEqual([
    { role: "user", content: "a long story" },
    { role: "user", content: "stop that" },
  ]);
});

test.each([
  ["a key that is refused", { status: 401, message: "Incorrect API key provided." }, /^401 .*Incorrect API key/],
  ["no money left", { status: 429, message: "You exceeded your current quota." }, /^429 .*quota/],
  ["a fault of theirs", { status: 500, message: "The server had an error." }, /^500 .*had an error/],
  ["a failure in the middle", { deltas: ["so "], end: "failed" }, /^The model had a bad day\.$/],
  ["an end before the end", { deltas: ["so "], end: "cut" }, /./],
] as const)("%s is an event, and the next question is answered", async (_, script, message) => {
  const agent = await start();
  world.fake.next(script);
  const input = await agent.say("hello");
  const failed = payloads(await agent.until("llm-request-failed"), "llm-request-failed");
  expect(failed).toEqual([{ inputOffset: input, message: expect.stringMatching(message) }]);
  await agent.say("hello again");
  const events = await agent.until("llm-request-completed");
  expect(payloads(events, "llm-request-completed")).toMatchObject([{ outputText: "again hello" }]);
  expect(payloads(events, builtin("error-occurred"))).toEqual([]);
});

test("a pause cuts it short, and behind it what was asked is asked again", async () => {
  const agent = await start();
  world.fake.next({ deltas: ["so "], end: "untilLeft" });
  const input = await agent.say("hello");
  await agent.until("llm-output-chunk-added");
  const cut = world.fake.asked.at(-1);
  await agent.append({ type: builtin("paused"), payload: { reason: "enough" } });
  expect(await cut?.left).toBe(true);
  await agent.append({ type: builtin("resumed") });
  const events = await agent.until("llm-request-completed");
  expect(llmTypes(events)).toEqual([
    "llm-request-started",
    "llm-output-chunk-added",
    "llm-request-interrupted",
    "llm-request-started",
    "llm-output-chunk-added",
    "llm-request-completed",
  ]);
  expect(payloads(events, "llm-request-completed")).toEqual([{ inputOffset: input, outputText: "hello" }]);
});

test("a new version cuts it short, and asks again in its own words", async () => {
  const agent = await start();
  world.fake.next({ deltas: ["so "], end: "untilLeft" });
  await agent.say("hello");
  await agent.until("llm-output-chunk-added");
  const cut = world.fake.asked.at(-1);
  await agent.deploy(codeOf("09-openai-agent.js").replace("in a few sentences", "in one word"));
  expect(await cut?.left).toBe(true);
  const events = await agent.until("llm-request-completed");
  expect(payloads(events, "llm-request-completed")).toMatchObject([{ outputText: "hello" }]);
  expect(world.fake.asked.at(-1)?.body.instructions).toContain("in one word");
  expect(payloads(events, builtin("error-occurred"))).toEqual([]);
});

test("killed in the middle of an answer, the server asks once more, and nothing of before again", async () => {
  const agent = await start();
  await agent.say("one");
  await agent.until("llm-request-completed");
  world.fake.next({ deltas: ["so "], end: "untilLeft" });
  await agent.say("two");
  await agent.until("llm-output-chunk-added", 2);
  const before = world.fake.asked.length;
  await world.restart();
  const events = await agent.until("llm-request-completed", 2);
  expect(payloads(events, "llm-request-completed")).toMatchObject([{ outputText: "one" }, { outputText: "two" }]);
  expect(world.fake.asked.length).toBe(before + 1);
});
