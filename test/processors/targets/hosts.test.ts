/** Each file of `examples/hosts` for real: subscribed by a server in a process of its own, it answers pings. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { promisify } from "node:util";
import { toNodeListener } from "@millrace/sdk/node";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { WebSocket } from "ws";
import { createReceivers } from "../../../packages/millrace/test/receivers.ts";
import { append, readAll } from "../../processes/http.ts";
import { type ServerProcess, spawnProgram, startServer, temporaryDirectory } from "../../processes/server-process.ts";
import { type Host, hostFile, pongsOf, signingSecret, startHost, subscribe } from "./hosts.ts";
import { findWorkerd, startWorker } from "./workerd.ts";

let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({ data: ":memory:", args: ["--allow-private-destinations"] });
});
afterAll(async () => {
  const exit = await server?.stop("SIGTERM");
  expect(exit).toMatchObject({ code: 0, stderr: "" });
});

const workerd = findWorkerd();
const bun = await promisify(execFile)("bun", ["--version"]).then(
  () => true,
  () => false,
);
if ("missing" in workerd) console.log(`left out: the tests of examples/hosts/worker.mjs, because ${workerd.missing}`);
if (!bun) {
  const where = "https://bun.sh, or the npm package @oven/bun-linux-x64";
  console.log(`left out: the tests of bun.mjs and pull.mjs with Bun, because bun is not in the PATH (${where})`);
}

const worker = (): Promise<Host> => {
  const variables = { MILLRACE_URL: server.url, SIGNING_SECRET: signingSecret };
  return startWorker((workerd as { program: string }).program, hostFile("worker.mjs"), variables);
};
const node = (name: string) => () => startHost(process.execPath, name, server.url);

test("every host has its test here", () => {
  expect(readdirSync(path.dirname(hostFile("hook.mjs"))).sort()).toEqual([
    "bun.mjs",
    "hono.mjs",
    "hook.mjs",
    "next-route.mjs",
    "node-socket.mjs",
    "node.mjs",
    "pong.mjs",
    "pull.mjs",
    "worker.mjs",
  ]);
});

interface Offer {
  name: string;
  type: "webhook" | "websocket";
  at: string;
  start(): Promise<Host>;
  missing: boolean;
}

const offers: Offer[] = [
  { name: "Hono", type: "webhook", at: "/hook", start: node("hono.mjs"), missing: false },
  { name: "node:http", type: "webhook", at: "/", start: node("node.mjs"), missing: false },
  { name: "ws on Node", type: "websocket", at: "/", start: node("node-socket.mjs"), missing: false },
  { name: "Workers", type: "webhook", at: "/", start: worker, missing: "missing" in workerd },
  { name: "Workers", type: "websocket", at: "/", start: worker, missing: "missing" in workerd },
  { name: "Bun", type: "webhook", at: "/", start: () => startHost("bun", "bun.mjs", server.url), missing: !bun },
];

describe.each(offers)("$name, a $type", ({ name, type, at, start, missing }) => {
  const stream = `/${name.replaceAll(/\W/g, "-")}/${type}`;

  test.skipIf(missing)("answers pings, in order, with their cause, and believes nobody else", async () => {
    const host = await start();
    onTestFinished(async () => expect(await host.stop()).toMatchObject({ stderr: "" }));
    await subscribe(server.url, stream, type, host.url + at);
    const one = await pongsOf(server.url, stream, [{ n: 1 }]);
    const all = await pongsOf(server.url, stream, [{ n: 2 }, { n: 3 }, { n: 4 }]);
    expect(all.slice(0, 1)).toEqual(one);
    expect(all.map(({ payload }) => payload)).toEqual([1, 2, 3, 4].map((pings) => ({ pings })));
    const pings = (await readAll(server.url, stream)).filter((event) => event.type === "ping");
    expect(all.map(({ source }) => source)).toEqual(
      pings.map(({ streamPath, offset }) => ({
        kind: "remote",
        slug: "pong",
        cause: { streamPath, offset },
        depth: 1,
      })),
    );
    if (type === "webhook") {
      const unsigned = await fetch(host.url + at, { method: "POST", body: JSON.stringify(pings[0]) });
      expect([unsigned.status, await unsigned.text()]).toEqual([401, expect.stringContaining("signature")]);
    }
    const told = (await readAll(server.url, stream)).filter((event) => event.type.endsWith("error-occurred"));
    expect(told).toEqual([]);
  });
});

test.skipIf("missing" in workerd)("Workers: a WebSocket that is not signed is refused before the upgrade", async () => {
  const host = await worker();
  onTestFinished(async () => expect(await host.stop()).toMatchObject({ stderr: "" }));
  const refused = new Promise((resolve) => {
    const socket = new WebSocket(host.url.replace("http", "ws"));
    socket.on("unexpected-response", (_, { statusCode }) => resolve(statusCode));
    socket.on("open", () => resolve("open"));
  });
  expect(await refused).toBe(401);
});

/** A Worker's request ends with its answer, and all that it waits for with it; the next one has to be able to go on. */
test.skipIf("missing" in workerd)(
  "Workers: a hook that outlasts its request is called again by the next one",
  async () => {
    const receivers = createReceivers();
    onTestFinished(() => receivers.dispose());
    let asked = 0;
    const service = await receivers.listen(() => (++asked === 1 ? "never" : { status: 200 }));
    const variables = { MILLRACE_URL: server.url, SIGNING_SECRET: signingSecret };
    const { program } = workerd as { program: string };
    const slow = path.join(import.meta.dirname, "slow-pong.mjs");
    const host = await startWorker(program, hostFile("worker.mjs"), variables, slow);
    onTestFinished(async () => expect(await host.stop()).toMatchObject({ stderr: "" }));
    await subscribe(server.url, "/workers/slow", "webhook", host.url);
    const pongs = await pongsOf(server.url, "/workers/slow", [{}, { ask: service.url }, {}]);
    expect(pongs.map(({ payload }) => payload)).toEqual([1, 2, 3].map((pings) => ({ pings })));
    expect(asked).toBe(2);
  },
);

/** Next calls `POST(request)` of a route module and sends what it resolves with; it is not installed for that. */
test("Next: a route module in the form that it asks for", async () => {
  vi.stubEnv("MILLRACE_URL", server.url);
  vi.stubEnv("SIGNING_SECRET", signingSecret);
  const route: { POST(request: Request): Promise<Response> } = await import(hostFile("next-route.mjs"));
  vi.unstubAllEnvs();
  expect(Object.keys(route)).toEqual(["POST"]);
  const next = createServer(toNodeListener((request) => route.POST(request)));
  onTestFinished(() => void next.close());
  await once(next.listen(0, "127.0.0.1"), "listening");
  const { port } = next.address() as AddressInfo;
  await subscribe(server.url, "/next", "webhook", `http://127.0.0.1:${port}/hook`);
  const pongs = await pongsOf(server.url, "/next", [{}, {}]);
  expect(pongs.map(({ payload }) => payload)).toEqual([{ pings: 1 }, { pings: 2 }]);
  const unsigned = await route.POST(new Request("http://next/hook", { method: "POST", body: "{}" }));
  expect(unsigned.status).toBe(401);
});

test.for([
  ["node", false],
  ["bun", !bun],
] as const)("pulled by %s: it goes on from its file of cursors", async ([program, missing], { skip }) => {
  skip(missing, "bun is not in the PATH");
  const { directory, remove } = temporaryDirectory();
  onTestFinished(remove);
  const stream = `/pulled/${program}`;
  const settings = { MILLRACE_URL: server.url, PULLED: stream, CURSORS: path.join(directory, "cursors") };
  await append(server.url, stream, { type: "born" });
  const start = async () => {
    const running = spawnProgram(program === "node" ? process.execPath : program, [hostFile("pull.mjs")], settings);
    await expect.poll(() => running.output().stdout, { timeout: 20_000 }).toContain("answering the pings of");
    return running;
  };
  const first = await start();
  await pongsOf(server.url, stream, [{}, {}]);
  first.child.kill("SIGTERM");
  expect(await first.exited).toMatchObject({ code: 0, stderr: "" });
  const second = await start();
  const pongs = await pongsOf(server.url, stream, [{}]);
  expect(pongs.map(({ payload }) => payload)).toEqual([1, 2, 3].map((pings) => ({ pings })));
  second.child.kill("SIGTERM");
  expect(await second.exited).toMatchObject({ code: 0, stderr: "" });
});
