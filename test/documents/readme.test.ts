/** The tour of README.md, typed line by line against a fresh server: what a new user sees in the first ten minutes. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { sharedServer } from "../processes/shared-server.ts";
import { alike, countCommands, patternOf, stepsIn } from "./commands.ts";
import { canType, type } from "./shell.ts";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const steps = stepsIn(readme);
const server = sharedServer();

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
];

test("every curl of the README is typed", () => {
  expect(steps.flatMap(({ lines }) => lines).reduce((sum, line) => sum + countCommands(line), 0)).toBe(
    countCommands(readme),
  );
  expect(steps.filter(({ stated }) => stated !== undefined)).toHaveLength(2);
});

test.skipIf(!canType("the commands of README.md"))("every command of the tour does what the README says", async () => {
  let kept = 0;
  for (const { lines, stated } of steps) {
    let printed = "";
    for (const line of lines) {
      const [words, output] = promises[kept] ?? ["", /./];
      const isPromised = words !== "" && line.includes(words);
      const typed = await type(line, server.url, (text) => !isPromised || output.test(text));
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
