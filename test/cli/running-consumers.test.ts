/** Subscriptions and transformers that run: how far they are, what halted, and how it goes on. */
import type { StreamEvent } from "@millrace/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { append, builtin, follow, readAll } from "../processes/http.ts";
import { type ServerProcess, startServer } from "../processes/server-process.ts";
import { lines, run } from "./run.ts";

/** Nobody listens there, and the server does not send to this machine unless it is told to. */
const hook = "http://127.0.0.1:1/hook";
/** What a consumer does is there within milliseconds; a test that waits for longer has failed. */
const patienceMs = 10_000;

let server: ServerProcess;
let env: Record<string, string>;

beforeAll(async () => {
  server = await startServer({ data: ":memory:" });
  env = { MILLRACE_URL: server.url };
});
afterAll(async () => void (await server?.stop("SIGTERM")));

/** Waits for so many events of this type, and gives the last of them. */
async function seen(path: string, type: string, count = 1): Promise<StreamEvent> {
  const found: StreamEvent[] = [];
  const enough = (event: StreamEvent) => found.push(event) === count;
  await follow(server.url, path, `&type=${encodeURIComponent(type)}`, enough, patienceMs);
  return found.at(-1) as StreamEvent;
}

type Listed = { consumer?: { lag: number } };

async function listed(command: string, path: string): Promise<Listed> {
  return lines((await run([command, path, "--json"], env)).stdout)[0] as Listed;
}

/** Looks until it has acted on everything. */
async function whenCaughtUp(command: string, path: string): Promise<Listed> {
  const until = Date.now() + patienceMs;
  for (;;) {
    const found = await listed(command, path);
    if (found.consumer?.lag === 0 || Date.now() > until) return found;
  }
}

test("the server's own signing secret is shown once", { timeout: 2 * patienceMs }, async () => {
  const args = ["subscribe", "/secret", "--slug", "s", "--webhook", hook];
  const first = await run([...args, "--json"], env);
  expect(lines(first.stdout)).toMatchObject([{ signingSecret: expect.stringMatching(/^whsec_[A-Za-z0-9+/=]{32,}$/) }]);
  const [{ signingSecret }] = lines(first.stdout) as [{ signingSecret: string }];
  expect(JSON.stringify(await readAll(server.url, "/secret"))).not.toContain(signingSecret);
  expect((await run(["subscriptions", "/secret", "--json"], env)).stdout).not.toContain("whsec_");
});

test("a subscription into another stream: delivered, and where its cursor is", {
  timeout: 2 * patienceMs,
}, async () => {
  await run(["subscribe", "/from", "--slug", "s", "--to", "/into", "--filter", "type = 'a'"], env);
  await append(server.url, "/from", [{ type: "b" }, { type: "a", payload: { n: 1 } }]);
  expect(await seen("/into", "a")).toMatchObject({ streamPath: "/into", payload: { n: 1 } });
  const { consumer } = await whenCaughtUp("subscriptions", "/from");
  expect(consumer).toEqual({ kind: "subscription", cursor: 4, lag: 0 });
  const { stdout } = await run(["subscriptions", "/from"], env);
  expect(stdout).toMatch(/\ns +stream +\/into +4 +0 +running +- +- +-\n$/);
});

test("a webhook that cannot be delivered: why, and when it is tried again", { timeout: 2 * patienceMs }, async () => {
  await run(["subscribe", "/retrying", "--slug", "s", "--webhook", hook], env);
  await append(server.url, "/retrying", { type: "a" });
  await seen("/retrying", builtin("error-occurred"));
  expect(await listed("subscriptions", "/retrying")).toMatchObject({
    consumer: { kind: "subscription", lastError: expect.any(String), nextAttemptAt: expect.any(String) },
  });
  const { stdout } = await run(["subscriptions", "/retrying"], env);
  expect(stdout).toMatch(/retrying +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +- +\S/);
});

describe("a transformer that halted", { timeout: 2 * patienceMs }, () => {
  const halt = async (path: string) => {
    const args = ["--slug", "t", "--matcher", "type = 'a'", "--transform", "$error('no such thing')"];
    await run(["transform", path, ...args], env);
    await append(server.url, path, { type: "a" });
    const halted = await seen(path, builtin("jsonata-transformer-halted"));
    expect(halted).toMatchObject({ payload: { slug: "t", offset: 3 } });
  };
  const repaired = (path: string) =>
    run(["transform", path, "--slug", "t", "--matcher", "type = 'a'", "--transform", "{'type': 'done'}"], env);

  test("is listed with why, and with what lets it go on", async () => {
    await halt("/halted/list");
    const { stdout } = await run(["transformers", "/halted/list"], env);
    expect(stdout).toMatch(/halted at 3 +- +.*no such thing/);
    expect(stdout.trimEnd().split("\n").at(-1)).toBe(
      '"t" is halted at 3. To go on: millrace resume /halted/list --slug t',
    );
  });

  test("resume: at its cursor, where it fails again", async () => {
    await halt("/halted/cursor");
    const { code, stdout, stderr } = await run(["resume", "/halted/cursor", "--slug", "t"], env);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'millrace: the transformer "t" goes on at offset 3, where it halted\n',
    });
    expect(stdout).toContain(builtin("jsonata-transformer-resumed"));
    const again = await seen("/halted/cursor", builtin("jsonata-transformer-halted"), 2);
    expect(again).toMatchObject({ payload: { slug: "t", offset: 3 } });
  });

  test("resume --from head: what it failed at is left out", async () => {
    await halt("/halted/head");
    const resumed = await run(["resume", "/halted/head", "--slug", "t", "--from", "head", "--json"], env);
    expect(resumed).toMatchObject({ code: 0, stderr: "" });
    const type = builtin("jsonata-transformer-resumed");
    expect(lines(resumed.stdout)).toMatchObject([{ type, payload: { slug: "t", from: "head" } }]);
    await repaired("/halted/head");
    await append(server.url, "/halted/head", { type: "a", payload: "second" });
    await seen("/halted/head", "done");
    const done = (await readAll(server.url, "/halted/head")).filter((event) => event.type === "done");
    expect(done).toHaveLength(1);
    expect(done[0]?.source?.cause?.offset).toBeGreaterThan(4);
  });

  test("goes on when it is configured again; then there is nothing to resume", async () => {
    await halt("/halted/repaired");
    await repaired("/halted/repaired");
    await seen("/halted/repaired", "done");
    const { code, stdout, stderr } = await run(["resume", "/halted/repaired", "--slug", "t"], env);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toBe('millrace: the transformer "t" of /halted/repaired is not halted; nothing was appended\n');
  });
});
