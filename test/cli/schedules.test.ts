/** Schedules from the command line: made, listed, cancelled; what is refused is said. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { append, builtin, readAll } from "../processes/http.ts";
import { type ServerProcess, startServer } from "../processes/server-process.ts";
import { lines, run } from "./run.ts";

let server: ServerProcess;
let env: Record<string, string>;

beforeAll(async () => {
  server = await startServer({ data: ":memory:" });
  env = { MILLRACE_URL: server.url };
});
afterAll(async () => void (await server.stop("SIGTERM")));

describe("schedule", () => {
  const far = "2099-01-01T00:00:00Z";
  const cases: { says: string; args: string[]; input?: string; payload: object }[] = [
    {
      says: "a type, at a time",
      args: ["tick", "--at", far],
      payload: { append: { type: "tick" }, schedule: { kind: "once-at", at: far } },
    },
    {
      says: "a type and a payload, after a while",
      args: ["--type", "tick", "--payload", '{"n":1}', "--in", "1h30m"],
      payload: { append: { type: "tick", payload: { n: 1 } }, schedule: { kind: "once-in", delaySeconds: 5_400 } },
    },
    {
      says: "an event as JSON, again and again",
      args: ['{"type":"tick","metadata":{"a":1}}', "--every", "1d"],
      payload: {
        append: { type: "tick", metadata: { a: 1 } },
        schedule: { kind: "every", intervalSeconds: 86_400 },
      },
    },
    {
      says: "an event from stdin, by a pattern",
      args: ["-", "--cron", "@daily", "--timezone", "Europe/Berlin", "--missed", "skip"],
      input: '{"type":"tick"}',
      payload: {
        append: { type: "tick" },
        schedule: { kind: "cron", cron: "@daily", timezone: "Europe/Berlin" },
        missed: "skip",
      },
    },
  ];
  test.each(cases)("$says", async ({ says, args, input, payload }) => {
    const path = `/schedule/${says.replaceAll(/\W/g, "-")}`;
    const { code, stdout, stderr } = await run(["schedule", path, "s", ...args, "--json"], env, input);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const type = builtin("append-scheduled");
    expect(lines(stdout)).toMatchObject([{ streamPath: path, offset: 2, type, payload: { slug: "s", ...payload } }]);
  });

  test("what is due comes, because of the schedule", async () => {
    expect((await run(["schedule", "/due", "once", "tick", "--in", "0s"], env)).code).toBe(0);
    const tailed = await run(["tail", "/due", "--from", "start", "--type", "tick", "--limit", "1", "--json"], env);
    const source = { kind: "schedule", slug: "once", cause: { streamPath: "/due", offset: 2 }, depth: 1 };
    expect(lines(tailed.stdout)).toMatchObject([{ streamPath: "/due", source }]);
  });

  test.each<[args: string[], says: string]>([
    [["tick", "--cron", "nonsense"], "payload.schedule.cron"],
    [["tick", "--at", "tomorrow"], "payload.schedule.at"],
    [["tick", "--every", "10ms"], "payload.schedule.intervalSeconds"],
    [["tick", "--in", "5m", "--missed", "never"], "payload.missed"],
    [['{"type":"tick","offset":3}', "--in", "5m"], "payload.append"],
    [['[{"type":"a"}]', "--in", "5m"], "payload.append"],
  ])("%j is stored as an invalid event, and said", async (args, says) => {
    const { code, stdout, stderr } = await run(["schedule", "/refused", "s", ...args, "--json"], env);
    expect(code).toBe(1);
    expect(lines(stdout)).toMatchObject([{ type: builtin("invalid-event-appended") }]);
    expect(stderr).toContain(says);
  });
});

describe("schedules", () => {
  beforeAll(async () => {
    await run(["schedule", "/list/a", "yearly", "t", "--cron", "0 9 1 1 *", "--missed", "skip"], env);
    await run(["schedule", "/list/a", "later", "t", "--at", "2099-01-01T00:00:00Z"], env);
    await append(server.url, "/list", { type: "none" });
    await run(["schedule", "/list/b", "\u001b[31m", "t", "--every", "36500d"], env);
    await run(["pause", "/list/b"], env);
  });

  test("a table for people", async () => {
    const { code, stdout, stderr } = await run(["schedules", "/list/a"], env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.replace(/20\d\d-01-01 09:00:00/, "SOME-01-01 09:00:00")).toBe(`\
SLUG    WHEN                         NEXT                 LAST  TICKS
later   at 2099-01-01T00:00:00Z      2099-01-01 00:00:00  -         0
yearly  cron 0 9 1 1 *, skip missed  SOME-01-01 09:00:00  -         0
`);
  });

  test("of a subtree, with paths; a paused one has no next time, and no slug steers the terminal", async () => {
    const { stdout } = await run(["schedules", "/list", "--children"], env);
    const table = stdout.trimEnd().split("\n");
    expect(table.map((line) => line.split(/ {2,}/).slice(0, 2))).toEqual([
      ["PATH", "SLUG"],
      ["/list/a", "later"],
      ["/list/a", "yearly"],
      ["/list/b", "\\u001b[31m"],
    ]);
    expect(table[3]).toMatch(/every 36500d +paused +- +0$/);
  });

  test("lines for programs", async () => {
    const { stdout } = await run(["schedules", "/list", "--children", "--json"], env);
    const schedule = { kind: "cron", cron: "0 9 1 1 *" };
    expect(lines(stdout)).toMatchObject([
      { path: "/list/a", slug: "later", missed: "fire-once", ticks: 0, nextAt: "2099-01-01T00:00:00.000Z" },
      { path: "/list/a", slug: "yearly", missed: "skip", offset: 2, ticks: 0, schedule },
      { path: "/list/b", slug: "\u001b[31m", ticks: 0 },
    ]);
    expect(lines(stdout)[2]).not.toHaveProperty("nextAt");
  });

  test("none, and no stream", async () => {
    expect(await run(["schedules", "/list"], env)).toMatchObject({ code: 0, stdout: "" });
    const { code, stderr } = await run(["schedules", "/nowhere"], env);
    expect(code).toBe(1);
    expect(stderr).toContain("There is no stream at /nowhere");
  });
});

describe("cancel", () => {
  test("ends a schedule, also of a paused stream", async () => {
    await run(["schedule", "/cancel", "s", "t", "--in", "1d"], env);
    await run(["pause", "/cancel"], env);
    const { code, stdout } = await run(["cancel", "/cancel", "s", "--json"], env);
    expect(code).toBe(0);
    expect(lines(stdout)).toMatchObject([{ type: builtin("schedule-cancelled"), payload: { slug: "s" } }]);
    expect((await run(["schedules", "/cancel"], env)).stdout).toBe("");
  });

  test("without such a schedule nothing is appended, and no stream is born", async () => {
    await append(server.url, "/cancel/none", { type: "t" });
    const none = await run(["cancel", "/cancel/none", "s"], env);
    expect(none).toMatchObject({ code: 1, stdout: "" });
    expect(none.stderr).toContain('no schedule "s"');
    expect(await readAll(server.url, "/cancel/none")).toHaveLength(2);
    expect((await run(["cancel", "/cancel/typo", "s"], env)).code).toBe(1);
    expect((await run(["state", "/cancel/typo"], env)).code).toBe(1);
  });
});
