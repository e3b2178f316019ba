/** The tour of README.md, typed line by line against a fresh server: what a new user sees in the first ten minutes. */
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { sharedServer } from "../processes/shared-server.ts";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const commands = [...readme.matchAll(/^```sh\n(.*?)^```$/gms)]
  .flatMap(([, block]) => (block as string).trim().split("\n"))
  .filter((line) => /\bcurl\b/.test(line));

const ready = ["curl", "jq"].every((program) => spawnSync(program, ["--version"]).status === 0);
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
  ["/api/children/me", /^\/me\/hello\n\/me\/loop\n\/me\/orders\n$/],
  ["$BASE/?format=yaml", /childPath: \/me\/hello\n/],
  ["-X DELETE", /^\{"deleted":\[\{"path":"\/me\/loop","head":\d+\}\],"count":1\}\n$/],
  ["X-Project-Slug", /"offset":2,"type":"hello-world"/],
  ["/api/projects", /"slug":"demo".*"slug":"public"/],
];

test.skipIf(!ready)("every command of the tour does what the README says", async () => {
  let kept = 0;
  for (const command of commands) {
    const [words, output] = promises[kept] ?? ["", /./];
    const isPromised = words !== "" && command.includes(words);
    const printed = await type(command, isPromised ? output : /./);
    expect(printed.code, command).toBe(0);
    if (!isPromised) continue;
    expect(printed.output, command).toMatch(output);
    kept++;
  }
  expect(promises.slice(kept), "the README has no such command (any more), or in another order").toEqual([]);
});

/** Runs a line in a shell. One that follows a stream is ended, as by Ctrl-C, when it has printed what it should. */
function type(command: string, output: RegExp): Promise<{ output: string; code: number | null }> {
  const isLive = command.includes("live=true");
  // To a terminal jq writes each event at once; to a test it would wait for more.
  const line = isLive ? command.replace("jq ", "jq --unbuffered ") : command;
  const shell = spawn("sh", ["-c", line], { env: { ...process.env, BASE: server.url }, detached: true });
  let text = "";
  let ended = false;
  return new Promise((resolve, reject) => {
    const end = () => {
      if (shell.exitCode === null && !ended) process.kill(-(shell.pid as number), "SIGTERM");
      ended = true;
    };
    const timer = setTimeout(end, 20_000);
    shell.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (isLive && output.test(text)) end();
    });
    shell.on("error", reject);
    shell.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ output: text, code: isLive && signal === "SIGTERM" ? 0 : code });
    });
  });
}
