/** The `openai` package as it is, bundled by `millrace deploy`: streams inside the sandbox, and stops when it is told to. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { run } from "../cli/run.ts";
import { type Agent, createAgentWorld, key } from "./agent-world.ts";

const world = createAgentWorld();
const file = fileURLToPath(new URL("package-agent.ts", import.meta.url));

async function deployed(): Promise<Agent> {
  const agent = await world.stream();
  const env = ["OPENAI_API_KEY={{secret:openai}}", `OPENAI_BASE_URL=${world.fake.url}`].flatMap((each) => [
    "--env",
    each,
  ]);
  const ran = await run(["deploy", file, "--path", agent.path, ...env], { MILLRACE_URL: world.server.url });
  expect(ran).toMatchObject({ code: 0, stdout: expect.stringContaining("package-agent is running"), stderr: "" });
  return agent;
}

const asked = (content: string) => ({ type: "asked", payload: { content } });

test("a Responses call streams, with the key that the code never has", async () => {
  const agent = await deployed();
  world.fake.next({ deltas: ["a ", "mill", "race"], everyMs: 20 });
  await agent.append(asked("what is it?"));
  const events = await agent.until("answered");
  expect(events.filter(({ type }) => type === "said").map(({ payload }) => payload)).toEqual([
    { text: "a " },
    { text: "mill" },
    { text: "race" },
  ]);
  expect(events.at(-1)).toMatchObject({ payload: { content: "a millrace", tokens: 2 } });
  expect(world.fake.asked.at(-1)).toMatchObject({
    authorization: `Bearer ${key}`,
    body: { model: "gpt-5.4", stream: true, input: [{ role: "user", content: "what is it?" }] },
  });
  expect(JSON.stringify(events)).not.toContain(key);
});

test("abort stops it, here and there", async () => {
  const agent = await deployed();
  world.fake.next({ deltas: ["once ", "upon "], end: "untilLeft" });
  await agent.append(asked("a long story"));
  await agent.until("said", 2);
  const upstream = world.fake.asked.at(-1);
  await agent.append({ type: "stop" });
  expect(await upstream?.left).toBe(true);
  const events = await agent.until("not-answered");
  expect(events.at(-1)).toMatchObject({ payload: { message: expect.stringMatching(/abort/i) } });
});

test("its errors are its own", async () => {
  const agent = await deployed();
  world.fake.next({ status: 429, message: "You exceeded your current quota." });
  await agent.append(asked("how much is left?"));
  const events = await agent.until("not-answered");
  expect(events.at(-1)).toMatchObject({ payload: { status: 429, message: expect.stringContaining("quota") } });
});
