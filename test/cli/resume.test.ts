/** `millrace resume --slug`: what halted is found by its name, whatever kind it is of, and goes on. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { processorKind } from "@millrace/engine";
import { serve } from "millrace";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { append, builtin, follow, readAll } from "../processes/http.ts";
import { lines, run } from "./run.ts";

describe("a processor", () => {
  let url: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    const unloadable = processorKind(() => Promise.reject(new Error("this code is broken")));
    const onFatal = (message: string) => expect.unreachable(message);
    const server = await serve({ port: 0, host: "127.0.0.1", data: ":memory:", consumers: [unloadable], onFatal });
    url = server.url;
    env = { MILLRACE_URL: url };
    return () => server.close();
  });

  async function halt(path: string): Promise<void> {
    const type = builtin("dynamic-worker/configured");
    await append(url, path, [{ type, payload: { slug: "p", script: "export default 1" } }, { type: "a" }]);
    await halts(path, 1);
  }

  async function halts(path: string, count: number): Promise<void> {
    let seen = 0;
    await follow(url, path, "&type=*dynamic-worker/halted", () => ++seen === count, 10_000);
  }

  test.each([
    { says: "at its cursor", args: [], payload: { slug: "p" }, told: /goes on at offset \d+, where it halted\n$/ },
    {
      says: "at the head",
      args: ["--from", "head"],
      payload: { slug: "p", from: "head" },
      told: /goes on at the head/,
    },
    {
      says: "behind an offset",
      args: ["--from", "0"],
      payload: { slug: "p", from: 0 },
      told: /goes on behind offset 0\n$/,
    },
  ])("goes on $says", async ({ says, args, payload, told }) => {
    const path = `/processor/${says.replaceAll(" ", "-")}`;
    await halt(path);
    const { code, stdout, stderr } = await run(["resume", path, "--slug", "p", ...args], env);
    expect(code).toBe(0);
    expect(stdout).toContain(builtin("dynamic-worker/resumed"));
    expect(stderr).toMatch(/^millrace: the processor "p" goes on/);
    expect(stderr).toMatch(told);
    const [resumed] = await readAll(url, path, "public", "&type=*dynamic-worker/resumed");
    expect(resumed?.payload).toEqual(payload);
  });

  test("at its cursor it meets the same fault again", async () => {
    await halt("/processor/again");
    const { stdout } = await run(["resume", "/processor/again", "--slug", "p", "--json"], env);
    expect(lines(stdout)).toMatchObject([{ type: builtin("dynamic-worker/resumed") }]);
    await halts("/processor/again", 2);
  });

  test("of a paused stream waits for the stream, and says so", async () => {
    await halt("/processor/paused");
    await run(["pause", "/processor/paused"], env);
    const { code, stderr } = await run(["resume", "/processor/paused", "--slug", "p"], env);
    expect(code).toBe(1);
    expect(stderr).toContain("Here: millrace resume /processor/paused\n");
  });
});

describe("a name that several kinds have", () => {
  const halted = { offset: 3, message: "x", at: 4 };
  const consumers = {
    s: { kind: "transformer", cursor: 2, lag: 3, halted },
    "subscription/s": { kind: "subscription", cursor: 2, lag: 3, halted },
    "processor/s": { kind: "processor", cursor: 5, lag: 0 },
  };

  /** A server with that state, and what it was sent. */
  async function answering(): Promise<{ env: Record<string, string>; sent: string[] }> {
    const sent: string[] = [];
    const server = createServer(async (request, response) => {
      if (request.method === "POST") sent.push(await text(request));
      const event = { streamPath: "/a", offset: 5, type: "t", payload: {}, createdAt: "2026-01-01T00:00:00.000Z" };
      const answer = request.method === "POST" ? { event } : { path: "/a", consumers };
      response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    return { env: { MILLRACE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }, sent };
  }

  test("nothing is guessed", async () => {
    const { env, sent } = await answering();
    expect(await run(["resume", "/a", "--slug", "s"], env)).toEqual({
      code: 1,
      stdout: "",
      stderr:
        'millrace: several of the name "s" are halted: say which with --kind subscription or --kind transformer\n',
    });
    expect(sent).toEqual([]);
  });

  test.each([
    ["subscription", "subscription/resumed"],
    ["transformer", "jsonata-transformer-resumed"],
  ])("--kind %s", async (kind, type) => {
    const { env, sent } = await answering();
    const { code, stderr } = await run(["resume", "/a", "--slug", "s", "--kind", kind], env);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `millrace: the ${kind} "s" goes on at offset 3, where it halted\n`,
    });
    expect(sent.map((body) => JSON.parse(body))).toEqual([{ type: builtin(type), payload: { slug: "s" } }]);
  });

  test("one that is not halted is left alone", async () => {
    const { env, sent } = await answering();
    const { code, stderr } = await run(["resume", "/a", "--slug", "s", "--kind", "processor"], env);
    expect({ code, stderr, sent }).toEqual({
      code: 1,
      stderr: 'millrace: the processor "s" of /a is not halted; nothing was appended\n',
      sent: [],
    });
  });
});
