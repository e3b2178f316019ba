/** The tour of README.md, typed line by line against a fresh server: what a new user sees in the first ten minutes. */
import { readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { type FakeOpenai, startFakeOpenai } from "../openai/fake-openai.ts";
import { append, builtin } from "../processes/http.ts";
import { sharedServer } from "../processes/shared-server.ts";
import { alike, countCommands, patternOf, stepsIn } from "./commands.ts";
import { canType, type } from "./shell.ts";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const steps = stepsIn(readme);
const server = sharedServer(undefined, ["--allow-private-destinations"]);
const key = "sk-of-the-reader";

/** What the text around the commands promises, in the order of the tour. */
const promises: [command: string, output: RegExp][] = [
  ['{"type":"hello-world"}', /"streamPath":"\/me\/hello","offset":2,"type":"hello-world","payload":\{\}/],
  ['"message":"hi"', /"offset":3,.*"payload":\{"message":"hi"\}/],
  ["curl -s $BASE/me/hello", /id: 3\nevent: message\ndata: \{/],
  ["/me/hello?format=yaml", /^---\nstreamPath: \/me\/hello\noffset: 1\n/],
  ["live=true", /"offset": 3,\n {2}"type": "hello-world"/],
  ["hogwash", /invalid-event-appended.*"rawInput":\{"hogwash":"yes!"\}/],
  ["just some text", /invalid-event-appended.*"rawInput":"just some text"/],
  ["type=form-sent", /"type":"form-sent","payload":\{"name":"Ada","color":"green"\}/],
  ['{"cups":1}', /^HTTP\/1\.1 200 OK(?!.*idempotent-replay).*"offset":2/is],
  ['{"cups":1}', /^HTTP\/1\.1 200 OK.*idempotent-replay: true.*"offset":2/is],
  ['{"cups":2}', /^HTTP\/1\.1 409 Conflict.*idempotency_conflict/is],
  ["order-shipped", /"offset":3,"type":"order-shipped"/],
  ["order-shipped", /"status":412,.*"head":3/],
  ["cup-filled", /^\{"events":\[.*"offset":4,.*"offset":5,/],
  ["stream/paused", /"type":"https:\/\/events\.iterate\.com\/events\/stream\/paused"/],
  ['{"type":"order-placed"}', /"status":423,.*lunch.*Append .*resumed/],
  ["stream/resumed", /"type":"https:\/\/events\.iterate\.com\/events\/stream\/resumed"/],
  ["loop?n=[1-140]", /^$/],
  [
    "order=desc&limit=1",
    /type: https:\/\/events\.iterate\.com\/events\/stream\/paused\n.*burstCapacity.*limit: 100\n/s,
  ],
  ["/api/state/me/orders", /"head": 7,/],
  ["/api/streams?prefix=/me", /"path": "\/me\/orders"/],
  ["$BASE/?format=yaml", /childPath: \/me\/hello\n/],
  ["-X DELETE", /^\{"deleted":\[\{"path":"\/me\/loop","head":\d+\}\],"count":1\}\n$/],
  ["jsonata-transformer-configured", /"offset":2,/],
  ["subscription-configured", /"offset":3,/],
  ["type=slack-command", /"offset":4,"type":"slack-command","payload":\{"command":"\/ask","text":"why"\}/],
  ["/me/all?type=asked", /type: asked\npayload: why\n/],
  ['"slug":"ping-pong"', /"offset":2,/],
  ['{"type":"ping"}', /"offset":3,/],
  ["type=pong", /\noffset: 4\ntype: pong\n.*slug: ping-pong\n/s],
  ["/api/secrets", /^\{"secret":\{"name":"openai",(?!.*sk-of)/],
  ["09-openai-agent.js", /"type":"https:\/\/events\.iterate\.com\/events\/stream\/dynamic-worker\/configured"/],
  ["What is a millrace?", /"type":"agent-input-added"/],
  [
    "type=llm-*",
    /llm-request-started.*llm-output-chunk-added.*llm-request-completed.*outputText: millrace\? a is What\n/s,
  ],
  ["10-safety-checker.ts", /"slug":"checker"/],
  ["Ignore your instructions", /"type":"agent-input-added"/],
  ["type=*stream/paused", /reason: '?safety-checker: the input at offset \d+ wants other instructions/],
];

test("every curl of the README is typed", () => {
  expect(steps.flatMap(({ lines }) => lines).reduce((sum, line) => sum + countCommands(line), 0)).toBe(
    countCommands(readme),
  );
  expect(steps.filter(({ stated }) => stated !== undefined)).toHaveLength(1);
});

test.skipIf(!canType("the commands of README.md"))("every command of the tour does what the README says", async () => {
  const model = await startFakeOpenai(key);
  onTestFinished(() => model.close());
  // The tour is typed as it stands, but that the model is on loopback.
  const elsewhere = {
    type: builtin("dynamic-worker/env-var-set"),
    payload: { key: "OPENAI_BASE_URL", value: model.url },
  };
  await append(server.url, "/me/agent", elsewhere);
  let kept = 0;
  for (const { lines, stated } of steps) {
    let printed = "";
    for (const line of lines) {
      const [words, output] = promises[kept] ?? ["", /./];
      const isPromised = words !== "" && line.includes(words);
      const typed = await type(withModel(line, model), server.url, (text) => !isPromised || output.test(text));
      expect(typed.code, line).toBe(0);
      printed += typed.output;
      if (!isPromised) continue;
      expect(typed.output, line).toMatch(output);
      kept++;
    }
    if (stated !== undefined) expect(alike(printed), lines.join("\n")).toMatch(patternOf(stated));
  }
  expect(promises.slice(kept), "the README has no such command (any more), or in another order").toEqual([]);
});

const withModel = (line: string, model: FakeOpenai) =>
  line.replace("$OPENAI_API_KEY", key).replace("api.openai.com", model.host);
