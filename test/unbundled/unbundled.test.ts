/** Unbundled code in a whole server: bundled with packages of a registry, run in the sandbox, repaired by whoever reads. */
import { once } from "node:events";
import type { StreamEvent } from "@millrace/protocol";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { type NpmRegistry, startRegistry } from "../../packages/millrace/test/npm-registry.ts";
import { append, builtin, follow, readAll } from "../processes/http.ts";
import { type ServerProcess, startServer, temporaryDirectory } from "../processes/server-process.ts";

const configuredType = builtin("dynamic-worker/configured");
const errorType = builtin("error-occurred");
let registry: NpmRegistry;
let server: ServerProcess;

const start = (data: string) => startServer({ data, args: ["--npm-registry", registry.url] });

beforeAll(async () => {
  registry = await startRegistry();
  registry.put(
    {
      name: "shout",
      manifest: { dependencies: { "loud-words": "^1.0.0" } },
      files: { "index.js": 'const end = require("loud-words"); module.exports = (text) => text.toUpperCase() + end;' },
    },
    { name: "loud-words", version: "1.4.0", files: { "index.js": 'module.exports = "!";' } },
    {
      name: "count",
      manifest: { type: "module", exports: { worker: "./worker.js", default: "./node.js" } },
      files: { "worker.js": "export const next = (n) => n + 1;", "node.js": 'throw new Error("not for workers");' },
    },
  );
  server = await start(":memory:");
});

beforeEach(() => {
  registry.intercept = () => false;
});

afterAll(async () => {
  await server.stop("SIGTERM");
  await registry.close();
});

function source(slug: string, files: Record<string, string>, dependencies: Record<string, string> = {}) {
  return { type: builtin("dynamic-worker/source-configured"), payload: { slug, packageJson: { dependencies }, files } };
}

/** All events up to the first that is wanted. */
async function until(path: string, wanted: (event: StreamEvent) => boolean, at = server): Promise<StreamEvent[]> {
  await follow(at.url, path, "", wanted);
  return readAll(at.url, path);
}

const ofType = (type: string) => (event: StreamEvent) => event.type === type;
const messageOf = (event: StreamEvent | undefined) => (event?.payload as { message?: string } | undefined)?.message;

const processor = (body = "") => `import shout from "shout";
import { next } from "count";
type State = { count: number };
export default {
  slug: "shouting",
  initialState: { count: 0 },
  reduce: ({ state, event }: { state: State; event: { type: string } }) =>
    event.type === "ping" ? { count: next(state.count) } : state,
  async afterAppend({ event, state, append }: any) {
    if (event.type === "ping") await append({ type: "pong", payload: { ...state, text: shout(event.payload.text) } });
    if (event.type === "boom") throw new Error("as told");
  },
};
${body}`;

const dependencies = { shout: "^1.0.0", count: "latest" };

test("code with two packages and what they depend on runs in the sandbox, and names its author's lines", async () => {
  await append(server.url, "/good", source("shouting", { "processor.ts": processor() }, dependencies));
  await until("/good", ofType(configuredType));
  await append(server.url, "/good", [{ type: "ping", payload: { text: "hi" } }, { type: "boom" }]);
  const events = await until("/good", ofType(errorType));
  const configured = events.find(ofType(configuredType));
  expect(configured?.source).toMatchObject({ kind: "server", cause: { offset: 2 }, depth: 1 });
  expect(events.find(ofType("pong"))?.payload).toEqual({ count: 1, text: "HI!" });
  expect(messageOf(events.at(-1))).toMatch(/as told \(?.*processor\.ts:11:/s);
});

test("an agent reads what is wrong, repairs its source, and is deployed", async () => {
  const agent = `export default {
    slug: "agent", initialState: {}, reduce: ({ state }) => state,
    async afterAppend({ event, append }) {
      const { about, error } = event.payload;
      if (event.type !== "${errorType}" || about.kind !== "bundler") return;
      const [{ file, line, column }] = error.problems;
      const lines = [${JSON.stringify(processor().split("\n").slice(0, 3))}, ${JSON.stringify(processor().split("\n").slice(3))}].flat();
      await append({ type: "repaired", payload: { file, line, column } });
      await append({ type: "${builtin("dynamic-worker/source-configured")}", payload: {
        slug: about.slug, packageJson: { dependencies: ${JSON.stringify(dependencies)} }, files: { [file]: lines.join("\\n") },
      } });
    } };`;
  await append(server.url, "/agent", { type: configuredType, payload: { slug: "agent", script: agent } });
  const broken = processor("const = 7;");
  await append(server.url, "/agent", source("shouting", { "processor.ts": broken }, dependencies));
  await until("/agent", (event) => event.type === configuredType && event.source?.kind === "server");
  await append(server.url, "/agent", { type: "ping", payload: { text: "it works" } });
  const events = await until("/agent", ofType("pong"));
  expect(messageOf(events.find(ofType(errorType)))).toMatch(/^processor\.ts:14:7: Expected identifier but found "="/);
  expect(events.find(ofType("repaired"))?.payload).toEqual({ file: "processor.ts", line: 14, column: 7 });
  expect(events.find(ofType("pong"))?.payload).toMatchObject({ text: "IT WORKS!" });
});

test("every source of many is answered once, in order", async () => {
  const sources = [1, 2, 3, 4, 5].map((n) => source("many", { "a.js": `export default ${n};` }));
  const offsets: number[] = [];
  for (const each of sources) offsets.push(...(await append(server.url, "/many", each)).map(({ offset }) => offset));
  const last = offsets.at(-1);
  const isLast = ({ type, source: from }: StreamEvent) => type === configuredType && from?.cause?.offset === last;
  const events = await until("/many", isLast);
  const answered = events.filter(({ source: from }) => from?.kind === "server" && from.slug === "many");
  const causes = answered
    .filter(
      ({ type, payload }) =>
        type === configuredType || (payload as { about?: { kind?: string } }).about?.kind === "bundler",
    )
    .map(({ source: from }) => from?.cause?.offset);
  expect(new Set(causes)).toEqual(new Set(offsets));
  expect(causes).toEqual([...causes].sort((a = 0, b = 0) => a - b));
  expect(causes).toHaveLength(offsets.length);
});

test("the answer that a killed server owed is given by the next, and what bundled for it ended with it", async () => {
  const { directory, remove } = temporaryDirectory();
  onTestFinished(remove);
  const first = await start(directory);
  const hung = new Promise<{ over: Promise<unknown> }>((resolve) => {
    registry.intercept = (request) => {
      resolve({ over: once(request.socket, "close") });
      return true;
    };
  });
  await append(first.url, "/owed", source("shouting", { "processor.ts": processor() }, dependencies));
  const { over } = await hung;
  await first.kill();
  await over;
  registry.intercept = () => false;
  const second = await start(directory);
  onTestFinished(async () => {
    await second.stop("SIGTERM");
  });
  const events = await until("/owed", ofType(configuredType), second);
  expect(events.filter(ofType(configuredType))).toHaveLength(1);
  expect(events.filter(ofType(errorType))).toEqual([]);
});
