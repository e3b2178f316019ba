/** Subscriptions and transformers from the command line: what is appended, listed and refused, by any server. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { append, builtin, getJson, readAll } from "../processes/http.ts";
import { type ServerProcess, startServer, temporaryDirectory } from "../processes/server-process.ts";
import { lines, run } from "./run.ts";

let server: ServerProcess;
let env: Record<string, string>;
const { directory, remove } = temporaryDirectory();
const hook = "http://127.0.0.1:1/hook";

beforeAll(async () => {
  server = await startServer({ data: ":memory:" });
  env = { MILLRACE_URL: server.url };
});
afterAll(async () => {
  await server?.stop("SIGTERM");
  remove();
});

const file = (name: string, text: string): string => {
  const full = path.join(directory, name);
  writeFileSync(full, text);
  return full;
};

const subscribe = (stream: string, slug: string, ...args: string[]) =>
  run(["subscribe", stream, "--slug", slug, ...args, "--json"], env);
const transform = (stream: string, slug: string, matcher = "false", ...args: string[]) =>
  run(["transform", stream, "--slug", slug, "--matcher", matcher, "--transform", "{'type': 'b'}", ...args], env);

describe("subscribe", () => {
  const cases: { says: string; args: string[]; payload: object }[] = [
    { says: "a webhook", args: ["--webhook", hook], payload: { type: "webhook", callbackUrl: hook } },
    {
      says: "a webhook with all that can be said",
      args: [
        ...["--webhook", hook, "--filter", "type = 'a'", "--transform", "payload", "--timeout", "2.5"],
        ...["--header", "authorization: Bearer {{secret:T}}", "--header", "x-team:a:b ", "--signing-secret", "SIGN"],
        ...["--start-from", "0"],
      ],
      payload: {
        type: "webhook",
        callbackUrl: hook,
        jsonataFilter: "type = 'a'",
        jsonataTransform: "payload",
        headers: { authorization: "Bearer {{secret:T}}", "x-team": "a:b" },
        signingSecret: "{{secret:SIGN}}",
        timeoutSeconds: 2.5,
        startFrom: 0,
      },
    },
    {
      says: "a WebSocket",
      args: ["--websocket", "ws://127.0.0.1:1/socket", "--timeout", "5"],
      payload: { type: "websocket", callbackUrl: "ws://127.0.0.1:1/socket", timeoutSeconds: 5 },
    },
    {
      says: "another stream, without its slash",
      args: ["--to", "made/of", "--start-from", "end"],
      payload: { type: "stream", path: "/made/of", startFrom: "end" },
    },
  ];
  test.each(cases)("$says", async ({ says, args, payload }) => {
    const stream = `/subscribe/${says.replaceAll(/\W/g, "-")}`;
    const { code, stdout, stderr } = await subscribe(stream, "s", ...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const type = builtin("subscription/configured");
    expect(lines(stdout)).toMatchObject([{ streamPath: stream, offset: 2, type }]);
    const [, stored] = await readAll(server.url, stream);
    expect(stored?.payload).toEqual({ slug: "s", ...payload });
  });

  test("expressions from a file and from stdin", async () => {
    const filter = file("filter.jsonata", "/* all of it */\n  true\n");
    const args = [
      "subscribe",
      "/from-files",
      "--slug",
      "s",
      "--to",
      "/b",
      "--filter",
      `@${filter}`,
      "--transform",
      "@-",
    ];
    expect((await run(args, env, "{'type': 'b'}\n")).code).toBe(0);
    const [, stored] = await readAll(server.url, "/from-files");
    expect(stored?.payload).toMatchObject({
      jsonataFilter: "/* all of it */\n  true",
      jsonataTransform: "{'type': 'b'}",
    });
  });

  test.each<[args: string[], says: string]>([
    [["--to", "/b", "--filter", "type ="], "payload.jsonataFilter: expected JSONata that compiles"],
    [["--to", "/b", "--transform", "("], "payload.jsonataTransform: expected JSONata that compiles"],
    [["--webhook", "example.com"], "payload.callbackUrl"],
    [["--webhook", "http://me:you@example.com/"], "without user name and password"],
    [["--webhook", hook, "--timeout", "16"], "payload.timeoutSeconds"],
    [["--webhook", hook, "--header", "x y: 1"], "expected the name of an HTTP header"],
    [["--to", "/a//b"], "payload.path"],
  ])("%j is stored as an invalid event, and said", async (args, says) => {
    const { code, stdout, stderr } = await subscribe("/subscribe/refused", "s", ...args);
    expect(code).toBe(1);
    expect(lines(stdout)).toMatchObject([{ type: builtin("invalid-event-appended") }]);
    expect(stderr).toContain("stored as an invalid event at offset");
    expect(stderr).toContain(says);
  });

  test("a literal authorization is refused before it is sent, so that no stream holds it", async () => {
    const line = "Authorization: Bearer open-sesame";
    const refused = await subscribe("/subscribe/literal", "s", "--webhook", hook, "--header", line);
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toContain("{{secret:NAME}}");
    expect(refused.stderr).not.toContain("sesame");
    expect((await run(["state", "/subscribe/literal"], env)).code).toBe(1);
  });

  test("a paused stream takes none, and says how to go on", async () => {
    await run(["pause", "/subscribe/paused"], env);
    const { code, stderr } = await subscribe("/subscribe/paused", "s", "--to", "/b");
    expect(code).toBe(1);
    expect(stderr).toContain("Here: millrace resume /subscribe/paused");
  });
});

describe("transform", () => {
  test("appends it as it was given", async () => {
    const { code, stdout, stderr } = await transform("/transform/a", "t", "type = 'a'", "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const payload = { slug: "t", matcher: "type = 'a'", transform: "{'type': 'b'}" };
    const type = builtin("jsonata-transformer-configured");
    expect(lines(stdout)).toMatchObject([{ streamPath: "/transform/a", offset: 2, type, payload }]);
  });

  test("what does not compile is stored as an invalid event, and said", async () => {
    const { code, stderr } = await transform("/transform/bad", "t", "1 +");
    expect(code).toBe(1);
    expect(stderr).toContain("payload.matcher: expected JSONata that compiles");
  });
});

describe("lists", () => {
  beforeAll(async () => {
    await subscribe("/list", "out", "--to", "/list-out");
    await subscribe("/list", "gone", "--to", "/list-out");
    await subscribe("/list", "audit", "--webhook", hook, "--filter", "false");
    await subscribe("/list", "\u001b[31m", "--to", "/list-out");
    await run(["unsubscribe", "/list", "gone"], env);
    await transform("/list", "ask");
    await transform("/list", "gone");
    await run(["untransform", "/list", "gone"], env);
    await append(server.url, "/list/none", { type: "a" });
  });

  const words = (line: string) => line.split(/ {2,}/);

  test("subscriptions for people", async () => {
    const { code, stdout, stderr } = await run(["subscriptions", "/list"], env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [head, ...rows] = stdout.trimEnd().split("\n").map(words);
    expect(head?.slice(0, 6)).toEqual(["SLUG", "KIND", "TO", "CURSOR", "LAG", "STATUS"]);
    expect(rows.map((row) => row.slice(0, 3))).toEqual([
      ["\\u001b[31m", "stream", "/list-out"],
      ["audit", "webhook", hook],
      ["out", "stream", "/list-out"],
    ]);
  });

  test("subscriptions for programs", async () => {
    const { code, stdout } = await run(["subscriptions", "/list", "--json"], env);
    expect(code).toBe(0);
    expect(lines(stdout)).toMatchObject([
      { path: "/list", slug: "\u001b[31m", offset: expect.any(Number), parked: [] },
      { slug: "audit", configuration: { type: "webhook", callbackUrl: hook, jsonataFilter: "false" } },
      { slug: "out", offset: 2, configuration: { slug: "out", type: "stream", path: "/list-out" } },
    ]);
  });

  test("transformers", async () => {
    const table = await run(["transformers", "/list"], env);
    expect(table).toMatchObject({ code: 0, stderr: "" });
    const [, ...rows] = table.stdout.trimEnd().split("\n").map(words);
    expect(rows.map((row) => row.slice(0, 3))).toEqual([["ask", "false", "{'type': 'b'}"]]);
    const { stdout } = await run(["transformers", "/list", "--json"], env);
    expect(lines(stdout)).toMatchObject([{ path: "/list", slug: "ask", configuration: { matcher: "false" } }]);
  });

  test.each(["subscriptions", "transformers"])("%s: none, and no stream", async (command) => {
    const none = await run([command, "/list/none"], env);
    expect(none).toMatchObject({ code: 0, stdout: "" });
    expect(none.stderr).toContain(`there is no ${command.slice(0, -1)} at /list/none`);
    const nowhere = await run([command, "/list/typo"], env);
    expect(nowhere.code).toBe(1);
    expect(nowhere.stderr).toContain("There is no stream at /list/typo");
  });
});

describe.each([
  { command: "unsubscribe", type: "subscription/removed", noun: "subscription" },
  { command: "untransform", type: "jsonata-transformer-removed", noun: "transformer" },
])("$command", ({ command, type, noun }) => {
  const stream = `/${command}`;
  beforeAll(async () => {
    await subscribe(stream, "s", "--to", "/b");
    await transform(stream, "s");
  });

  test("ends it, also of a paused stream; then there is none", async () => {
    await run(["pause", stream], env);
    const { code, stdout } = await run([command, stream, "s", "--json"], env);
    expect(code).toBe(0);
    expect(lines(stdout)).toMatchObject([{ type: builtin(type), payload: { slug: "s" } }]);
    expect((await run([`${noun}s`, stream], env)).stdout).toBe("");
    expect((await run([command, stream, "s"], env)).code).toBe(1);
    await run(["resume", stream], env);
  });

  test("without one nothing is appended, and no stream is born", async () => {
    const { head } = await getJson(server.url, `/api/state${stream}`);
    const none = await run([command, stream, "typo"], env);
    expect(none).toMatchObject({ code: 1, stdout: "" });
    expect(none.stderr).toContain(`${stream} has no ${noun} "typo"; see millrace ${noun}s ${stream}`);
    expect((await getJson(server.url, `/api/state${stream}`)).head).toBe(head);
    expect((await run([command, `${stream}/typo`, "s"], env)).code).toBe(1);
    expect((await run(["state", `${stream}/typo`], env)).code).toBe(1);
  });
});

describe("redeliver", () => {
  beforeAll(() => subscribe("/redeliver", "s", "--to", "/b"));

  test("asks for an event again", async () => {
    const { code, stdout, stderr } = await run(["redeliver", "/redeliver", "s", "1", "--json"], env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const type = builtin("subscription/event-replay-requested");
    expect(lines(stdout)).toMatchObject([{ type, payload: { slug: "s", offset: 1 } }]);
  });

  test.each([
    ["typo", "1", '/redeliver has no subscription "typo"'],
    ["s", "9999", "There is no event 9998: the head is"],
  ])("%s %s is refused, and nothing is appended", async (slug, offset, says) => {
    const { head } = await getJson(server.url, "/api/state/redeliver");
    const { code, stdout, stderr } = await run(["redeliver", "/redeliver", slug, offset], env);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(says);
    expect((await getJson(server.url, "/api/state/redeliver")).head).toBe(head);
  });

  test("the next event, and one of an earlier life of the path, are not there", async () => {
    await append(server.url, "/redeliver/lives", [{ type: "a" }, { type: "b" }]);
    await run(["delete", "/redeliver/lives", "--yes"], env);
    await subscribe("/redeliver/lives", "s", "--to", "/b", "--filter", "false");
    const { head } = await getJson(server.url, "/api/state/redeliver/lives");
    for (const offset of [2, head + 1]) {
      const { code, stderr } = await run(["redeliver", "/redeliver/lives", "s", String(offset)], env);
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: `millrace: there is no event ${offset} at /redeliver/lives\n`,
      });
    }
  });
});

describe("resume --slug, where nothing is halted", () => {
  test.each([
    ["of no such name", ["--slug", "typo"], 'no consumer "typo" runs at /resume'],
    ["of a built-in", ["--slug", "tree"], 'no consumer "tree" runs'],
    [
      "of another kind",
      ["--slug", "s", "--kind", "processor"],
      'no processor "s" runs at /resume; millrace state /resume names',
    ],
  ])("%s", async (_says, args, says) => {
    await subscribe("/resume", "s", "--to", "/b");
    const { head } = await getJson(server.url, "/api/state/resume");
    const { code, stdout, stderr } = await run(["resume", "/resume", ...args], env);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(says);
    expect((await getJson(server.url, "/api/state/resume")).head).toBe(head);
  });
});
