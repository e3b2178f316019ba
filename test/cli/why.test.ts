/** From an event back to its origin, from the command line. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { append, builtin } from "../processes/http.ts";
import { type ServerProcess, startServer } from "../processes/server-process.ts";
import { lines, run } from "./run.ts";

let server: ServerProcess;
let env: Record<string, string>;

beforeAll(async () => {
  server = await startServer({ data: ":memory:" });
  env = { MILLRACE_URL: server.url };
});
afterAll(async () => void (await server.stop("SIGTERM")));

/** What a remote processor appends because of an event. */
function appendBecause(path: string, type: string, cause: string, depth = 0) {
  const at = cause.lastIndexOf("@");
  return append(
    server.url,
    path,
    { type },
    {
      "millrace-cause": `${encodeURIComponent(cause.slice(0, at))}${cause.slice(at)}`,
      "millrace-depth": String(depth),
      "millrace-processor": "echo",
    },
  );
}

interface Why {
  chain: { streamPath: string; offset: number }[];
  end: { reason: string; message: string; at: { streamPath: string; offset: number } };
}

async function why(event: string, ...options: string[]): Promise<{ places: string[]; end: Why["end"] }> {
  const { code, stdout, stderr } = await run(["why", event, "--json", ...options], env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const [{ chain, end }] = lines(stdout) as [Why];
  return { places: chain.map(({ streamPath, offset }) => `${streamPath}@${offset}`), end };
}

test("a table for people, from the event back to what came from outside", async () => {
  await append(server.url, "/asked", { type: "question" });
  await appendBecause("/a@b/c", "answer", "/asked@2");
  await appendBecause("/asked", "thanks", "/a@b/c@2", 1);
  const { code, stdout } = await run(["why", "/asked@3"], env);
  expect(code).toBe(0);
  expect(stdout.replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "YYYY-MM-DD hh:mm:ss")).toBe(`\
EVENT     TIME                 WRITTEN BY   DEPTH  TYPE
/asked@3  YYYY-MM-DD hh:mm:ss  remote echo      2  thanks
/a@b/c@2  YYYY-MM-DD hh:mm:ss  remote echo      1  answer
/asked@2  YYYY-MM-DD hh:mm:ss  outside          0  question
origin: /asked@2 came from outside
`);
});

test("a pause of the circuit breaker leads to the event behind it, and a tick to its schedule", async () => {
  await append(server.url, "/breaker", {
    type: builtin("circuit-breaker-configured"),
    payload: { burstCapacity: 0, refillRatePerMinute: 1, maxDepth: 1 },
  });
  await appendBecause("/breaker", "deep", "/breaker@2", 1);
  expect((await why("/breaker@4")).places).toEqual(["/breaker@4", "/breaker@3", "/breaker@2"]);
  await run(["schedule", "/ticking", "once", "tick", "--in", "0s"], env);
  await run(["tail", "/ticking", "--from", "start", "--type", "tick", "--limit", "1"], env);
  expect((await why("/ticking@3")).places).toEqual(["/ticking@3", "/ticking@2"]);
});

describe("where it ends", () => {
  test("a writer that names no cause", async () => {
    await append(server.url, "/uncaused", { type: "a" }, { "millrace-processor": "echo" });
    const { places, end } = await why("/uncaused@2");
    expect(places).toEqual(["/uncaused@2"]);
    expect(end).toMatchObject({ reason: "outside", at: { streamPath: "/uncaused", offset: 2 } });
    expect(end.message).toContain("remote echo, which names no cause");
  });

  test("a deleted stream, also when it has another life", async () => {
    await append(server.url, "/gone", { type: "a" });
    await appendBecause("/left", "b", "/gone@2");
    await run(["delete", "/gone", "--yes"], env);
    const ended = { places: ["/left@2"], end: { reason: "deleted", at: { streamPath: "/gone", offset: 2 } } };
    expect(await why("/left@2")).toMatchObject(ended);
    await append(server.url, "/gone", { type: "a" });
    expect(await why("/left@2")).toMatchObject(ended);
  });

  test("a cause that never was", async () => {
    await appendBecause("/claim", "a", "/never@7");
    await appendBecause("/claim", "a", "/claim@99");
    await appendBecause("/claim", "a", "/never@1");
    await appendBecause("/claim", "a", "/claim@6");
    for (const offset of [2, 3, 4, 5]) {
      expect(await why(`/claim@${offset}`)).toMatchObject({
        places: [`/claim@${offset}`],
        end: { reason: "not-found" },
      });
    }
  });

  test("a circle of claims", async () => {
    await appendBecause("/circle", "a", "/circle@3");
    await appendBecause("/circle", "a", "/circle@2");
    expect(await why("/circle@2")).toMatchObject({
      places: ["/circle@2", "/circle@3"],
      end: { reason: "circle", at: { streamPath: "/circle", offset: 2 } },
    });
  });

  test("a limit", async () => {
    await append(server.url, "/long", { type: "a" });
    for (const offset of [2, 3, 4]) await appendBecause("/long", "a", `/long@${offset}`);
    const { places, end } = await why("/long@5", "--limit", "2");
    expect(places).toEqual(["/long@5", "/long@4"]);
    expect(end).toMatchObject({ reason: "limit", at: { streamPath: "/long", offset: 3 } });
    expect((await why("/long@5", "--limit", "4")).end.reason).toBe("outside");
  });
});

test.each([["/nowhere@1"], ["/nowhere@2"], ["/asked@4"], ["/asked@99"]])(
  "%s is not there: nothing on stdout, and 1",
  async (event) => {
    const { code, stdout, stderr } = await run(["why", event], env);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(`there is no ${event}`);
  },
);
