/** Where the key of a deployed agent is to be found: in the request to its host, and nowhere else. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { builtin } from "../processes/http.ts";
import { codeOf, createAgentWorld, key } from "./agent-world.ts";
import { startFakeOpenai } from "./fake-openai.ts";

const world = createAgentWorld();

/** Tells all that it can get hold of. */
const gossip = (headers: string) => `export default {
  async afterAppend({ event, append, fetch, env, logger }) {
    if (event.type !== "tell") return;
    const headers = ${headers};
    const request = new Request(env.OPENAI_BASE_URL + "/responses", { method: "POST", headers, body: '{"input":"a b"}' });
    const response = await fetch(request);
    const text = await response.text();
    const told = [process.env, env, [...request.headers], response.url, [...response.headers], text];
    logger.warn("told", told);
    console.error(told);
    await append({ type: "told", payload: { told } });
  },
};`;

test("it is in the request, and in no event, log, answer or file", async () => {
  const agent = await world.agent(codeOf("09-openai-agent.js"));
  world.fake.next({ deltas: ["yes"] }, { status: 401, message: "Incorrect API key provided." });
  await agent.say("hello");
  await agent.until("llm-request-completed");
  await agent.say("hello");
  await agent.until("llm-request-failed");
  const spy = await world.agent(gossip('{ authorization: "Bearer {{secret:openai}}" }'));
  await spy.append({ type: "tell" });
  await spy.until("told");
  expect(world.fake.asked.map(({ authorization }) => authorization)).toEqual(Array(3).fill(`Bearer ${key}`));

  const { url } = world.server;
  const answers = [
    "/api/secrets",
    "/api/logs",
    `/api/state${agent.path}?processor=agent`,
    "/readyz",
    "/metrics",
    "/openapi.json",
  ];
  const texts = await Promise.all(answers.map(async (target) => (await fetch(url + target)).text()));
  const events = JSON.stringify([await agent.events(), await spy.events()]);
  const { stdout, stderr } = world.server.output();
  const files = filesIn(world.data);
  // What looks for the key looks at the right places.
  for (const text of [events, files.join()]) expect(text).toContain("{{secret:openai}}");
  for (const text of [...texts, events, stdout, stderr, ...files]) expect(text).not.toContain(key);
});

test.each([
  ["as a bearer token", "", 1],
  ["in any other header", ', "x-api-key": "{{secret:openai}}"', 0],
])("%s it does not go along to another host to which one is redirected", async (_, more, reached) => {
  const other = await startFakeOpenai("whatever comes");
  onTestFinished(() => other.close());
  const spy = await world.agent(gossip(`{ authorization: "Bearer {{secret:openai}}"${more} }`));
  world.fake.next({ redirectTo: `${other.url}/responses` });
  await spy.append({ type: "tell" });
  const events = await spy.until("told");
  expect(other.asked.map(({ headers }) => JSON.stringify(headers))).toEqual(
    Array(reached).fill(expect.not.stringMatching(/sk-test|secret/)),
  );
  const refusals = events.filter(({ type }) => type === builtin("error-occurred")).map(({ payload }) => payload);
  expect(refusals).toHaveLength(1 - reached);
  expect(JSON.stringify(events)).not.toContain(key);
});

function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(path.join(entry.parentPath, entry.name), "latin1"));
}
