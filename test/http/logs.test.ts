/** `/api/logs`: what processors said, over HTTP, in both of its forms. */
import { processorKind } from "@millrace/engine";
import { defineProcessor } from "@millrace/protocol";
import { expect, test } from "vitest";
import { append, builtin, freshPath, refused } from "./calls.ts";
import { openLive } from "./live-reader.ts";
import { describeEach, type TestServer } from "./servers.ts";

/** Says what its events tell it to say. */
const parrot = defineProcessor<null>({
  slug: "parrot",
  initialState: null,
  reduce: ({ state }) => state,
  afterAppend({ event, logger }) {
    const { level = "info", message, details, times = 1 } = event.payload as unknown as Saying;
    if (event.type === "say") for (let n = 0; n < times; n++) logger[level](message, details);
  },
});

interface Saying {
  level?: "debug" | "info" | "warn" | "error";
  message: string;
  details?: unknown;
  times?: number;
}

const consumers = [processorKind(async () => parrot)];
const configured = { type: builtin("dynamic-worker/configured"), payload: { slug: "parrot", script: "parrot" } };

async function said(server: TestServer, path: string, ...sayings: Saying[]): Promise<void> {
  await append(server, path, [configured, ...sayings.map((payload) => ({ type: "say", payload }))]);
}

interface Line {
  id: string;
  message: string;
  [name: string]: unknown;
}

async function linesOf(server: TestServer, query: string): Promise<Line[]> {
  const response = await server.send(`/api/logs?format=ndjson&${query}`);
  const text = await response.text();
  expect(response.status, text.slice(0, 500)).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/x-ndjson");
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);
}

async function until(server: TestServer, query: string, count: number): Promise<Line[]> {
  await expect.poll(async () => (await linesOf(server, query)).length, { timeout: 10_000 }).toBe(count);
  return linesOf(server, query);
}

describeEach(
  "logs",
  (server) => {
    test("have what was said of which event, of a stream and all below it", async () => {
      const path = freshPath("logs");
      await said(server(), `${path}/below`, { message: "hello", details: { n: 1 } });
      await said(server(), path, { level: "error", message: "no luck" });
      const lines = await until(server(), `path=${path}`, 2);
      const place = { id: expect.stringMatching(/^[\w-]+-\d+$/), at: expect.stringMatching(/Z$/), slug: "parrot" };
      expect(lines.find(({ message }) => message === "hello")).toEqual({
        ...place,
        level: "info",
        path: `${path}/below`,
        offset: 3,
        message: "hello",
        details: { n: 1 },
      });
      expect((await linesOf(server(), `path=${path}&level=warn`)).map(({ message }) => message)).toEqual(["no luck"]);
      expect(await linesOf(server(), `path=${path}&slug=other`)).toEqual([]);
      expect(await linesOf(server(), `path=${path}&project=other`)).toEqual([]);
      const [first, second] = lines as [Line, Line];
      expect(await linesOf(server(), `path=${path}&after=${first.id}`)).toEqual([second]);
    });

    test("are followed live, and gone on with behind the last line", async () => {
      const path = freshPath("logs");
      await said(server(), path, { message: "one" });
      await until(server(), `path=${path}`, 1);
      const target = `/api/logs?path=${path}&live=true`;
      const reader = await openLive(server(), target, { accept: "text/event-stream" });
      expect(reader.response.headers.get("content-type")).toBe("text/event-stream");
      expect(await reader.event()).toMatchObject({ message: "one" });
      // That is all for now.
      expect(await reader.frame()).toBe(":");
      await append(server(), path, { type: "say", payload: { message: "two" } });
      const frame = (await reader.frame()) as string;
      expect(frame).toMatch(/^id: \S+\nevent: message\ndata: .*"message":"two"/);
      reader.close();
      await append(server(), path, { type: "say", payload: { message: "three" } });
      const id = /^id: (\S+)$/m.exec(frame)?.[1] as string;
      const again = await openLive(server(), target, { "last-event-id": id });
      expect(await again.event()).toMatchObject({ message: "three" });
      again.close();
    });

    test("of a stream on which nothing was said are open at once", async () => {
      const reader = await openLive(server(), "/api/logs?path=/silent&live=true");
      expect([await reader.frame(), await reader.frame()]).toEqual([":\nretry: 1000", ":"]);
      reader.close();
    });

    test("what is said can begin no line and no frame, and steers no terminal", async () => {
      const path = freshPath("logs");
      const evil = 'x\n\ndata: {"message":"forged"}\n{"level":"forged"}\u001b[2J\u009b2J\u0085\u2028\r';
      await said(server(), path, { message: evil, details: { evil } });
      const [line] = await until(server(), `path=${path}`, 1);
      expect(line).toMatchObject({ message: evil, details: { evil } });
      for (const format of ["sse", "ndjson"]) {
        const text = await (await server().send(`/api/logs?format=${format}&path=${path}`)).text();
        const ours = format === "sse" ? /^(:|retry: 1000|id: \S+|event: message|data: \{"id".*|)$/ : /^(\{"id".*|)$/;
        expect(text.split("\n").filter((one) => !ours.test(one))).toEqual([]);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
        expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]/);
      }
    });

    test("of an endless hook there are a hundred lines, and one that says how many were left out", async () => {
      const path = freshPath("logs");
      await said(server(), path, { message: "again", times: 50_000 });
      const lines = await until(server(), `path=${path}`, 101);
      expect(lines.at(-1)).toMatchObject({ level: "warn", leftOut: 49_900 });
    });

    test("answer to HEAD, and refuse what they do not know", async () => {
      expect((await server().send("/api/logs", { method: "HEAD" })).status).toBe(200);
      await refused(await server().send("/api/logs", { method: "POST", body: "{}" }), "method_not_allowed");
      for (const query of [
        "level=loud",
        "format=json",
        "after=7",
        "path=//",
        "live=yes",
        "limit=0",
        "slug=",
        "follow=true",
      ]) {
        await refused(await server().send(`/api/logs?${query}`), "invalid_request");
      }
      await refused(await server().send(`/api/logs?slug=${"s".repeat(256)}`), "invalid_request");
      expect((await server().send("/api/logs", { headers: { "last-event-id": "7" } })).status).toBe(200);
    });
  },
  { consumers },
);

describeEach(
  "logs of a server with a token",
  (server) => {
    test("are for those who have it", async () => {
      await refused(await server().send("/api/logs"), "unauthorized");
      const response = await server().send("/api/logs", { headers: { authorization: "Bearer a-token-of-tests" } });
      expect(response.status).toBe(200);
      await refused(
        await server().send("/api/logs", { headers: { origin: "https://evil.example" } }),
        "forbidden_origin",
      );
    });
  },
  { access: { token: "a-token-of-tests" } },
);
