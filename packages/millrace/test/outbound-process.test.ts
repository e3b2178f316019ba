/** What the way out takes from its process and its environment: who is trusted, no proxy, and nothing that stays. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { certificate, key } from "./certificate.ts";
import { createReceivers, type Receivers } from "./receivers.ts";

const sending = fileURLToPath(new URL("send-and-leave.mjs", import.meta.url));
const connecting = fileURLToPath(new URL("connect-and-leave.mjs", import.meta.url));
const directory = mkdtempSync(path.join(tmpdir(), "millrace-outbound-"));
const trusted = path.join(directory, "certificate.pem");

let receivers: Receivers;
const secure = createServer({ key, cert: certificate }, (incoming, outgoing) => {
  incoming.resume().once("end", () => outgoing.end(`over ${incoming.httpVersion} to ${incoming.headers.host}`));
});
new WebSocketServer({ server: secure }).on("connection", (socket, { headers }) => {
  socket.on("message", (data) => socket.send(`${data} over TLS to ${headers.host}`));
});
let port: number;

beforeAll(async () => {
  writeFileSync(trusted, certificate);
  // A connection that lies idle is never closed from this side.
  secure.keepAliveTimeout = 0;
  await once(secure.listen(0, "127.0.0.1"), "listening");
  port = (secure.address() as AddressInfo).port;
});

afterAll(() => {
  secure.closeAllConnections();
  secure.close();
  rmSync(directory, { recursive: true });
});

beforeEach(() => {
  receivers = createReceivers();
});

afterEach(() => receivers.dispose());

/** What it said, a line for each URL. It has to end by itself. */
async function send(urls: string[], environment: Record<string, string> = {}, program = sending) {
  const child = spawn(process.execPath, [program, ...urls], { env: { ...process.env, ...environment } });
  const exited = once(child, "exit");
  const [said, complaints] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await exited;
  const outcomes = said
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { outcomes, complaints };
}

test("a host whose certificate is trusted is reached, by name and by address, and the process ends by itself", async () => {
  const urls = [`https://receiver.test:${port}/`, `https://127.0.0.1:${port}/`];
  const { outcomes, complaints } = await send(urls, { NODE_EXTRA_CA_CERTS: trusted });
  expect(outcomes).toEqual([
    { status: 200, body: `over 1.1 to receiver.test:${port}` },
    { status: 200, body: `over 1.1 to 127.0.0.1:${port}` },
  ]);
  expect(complaints).toBe("");
});

test("a WebSocket is opened to a host whose certificate is trusted, to no other, and the process ends by itself", async () => {
  const urls = [`https://receiver.test:${port}/`, `https://another.test:${port}/`];
  const { outcomes, complaints } = await send(urls, { NODE_EXTRA_CA_CERTS: trusted }, connecting);
  expect(outcomes).toEqual([
    { message: `hello over TLS to receiver.test:${port}`, closed: { code: 1000, reason: "bye" } },
    { reason: "unreachable", message: `https://another.test:${port}: its certificate is for another name.` },
  ]);
  expect(complaints).toBe("");
});

test("another name than that of the certificate is not reached", async () => {
  const { outcomes } = await send([`https://another.test:${port}/`], { NODE_EXTRA_CA_CERTS: trusted });
  expect(outcomes).toEqual([
    { reason: "unreachable", message: `https://another.test:${port}: its certificate is for another name.` },
  ]);
});

test("who is not trusted is not reached, even where the environment asks for it", async () => {
  const { outcomes } = await send([`https://receiver.test:${port}/`], { NODE_TLS_REJECT_UNAUTHORIZED: "0" });
  expect(outcomes).toEqual([
    { reason: "unreachable", message: `https://receiver.test:${port}: its certificate is signed by itself.` },
  ]);
});

test("who does not speak TLS is not reached over https", async () => {
  const { url } = await receivers.listen(() => ({ status: 200 }));
  const { outcomes } = await send([url.replace("http:", "https:")]);
  expect(outcomes).toEqual([
    { reason: "unreachable", message: `${new URL(url).origin.replace("http:", "https:")}: it does not speak TLS.` },
  ]);
});

test("no proxy of the environment is asked", async () => {
  const proxy = await receivers.listen(() => ({ status: 502 }));
  const { url } = await receivers.listen(() => ({ status: 200, body: "direct" }));
  const { origin } = new URL(proxy.url);
  const names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
  const environment = { ...Object.fromEntries(names.map((name) => [name, origin])), NO_PROXY: "", no_proxy: "" };
  const { outcomes } = await send([url], { ...environment, NODE_USE_ENV_PROXY: "1" });
  expect([outcomes, proxy.connections()]).toEqual([[{ status: 200, body: "direct" }], 0]);
});
