/**
 * A server that was not told to send to private addresses does not, however the address is written: an event says why,
 * and whoever listens there does not even see a connection.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { createReceivers } from "../../packages/millrace/test/receivers.ts";
import { append, builtin } from "../processes/http.ts";
import { type ServerProcess, startServer } from "../processes/server-process.ts";
import { appendNumbers, consumerOf, patience, payloadsOf, subscribeWebhook, waitingOf } from "./pushing.ts";

const receivers = createReceivers();
const path = "/private-destinations";
let server: ServerProcess;
let url: string;

beforeAll(async () => {
  server = await startServer({ data: ":memory:" });
  url = server.url;
});
afterAll(async () => {
  await server?.stop("SIGTERM");
  await receivers.dispose();
});

test("loopback in every form, link-local and private addresses are refused", async () => {
  const receiver = await receivers.listen(() => ({ status: 200 }));
  const { port } = new URL(receiver.url);
  const destinations = [
    `http://127.0.0.1:${port}/`,
    `http://[::ffff:127.0.0.1]:${port}/`,
    `http://2130706433:${port}/`,
    `http://0177.0.0.1:${port}/`,
    `http://0x7f.1:${port}/`,
    `http://0.0.0.0:${port}/`,
    `http://localhost:${port}/`,
    `http://[::1]:${port}/`,
    `https://127.0.0.1:${port}/`,
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http://[fd00::1]/",
  ];
  for (const [index, destination] of destinations.entries()) {
    const stored = await subscribeWebhook(url, path, `s${index}`, destination);
    expect(stored.type).toBe(builtin("subscription/configured"));
  }
  const { offsets } = await appendNumbers(url, path, 1);
  const refusals = () => payloadsOf(url, path, "error-occurred");
  await expect.poll(async () => (await refusals()).length, patience).toBe(destinations.length);
  const said = await refusals();
  for (const [index] of destinations.entries()) {
    const slug = `s${index}`;
    const about = { kind: "subscription", slug, offset: offsets[0] };
    const refusal = said.find((payload) => (payload.about as { slug: string }).slug === slug);
    expect(refusal).toMatchObject({ message: expect.stringMatching(/ is not a public address/), about });
    const { lastError, nextAttemptAt, lag } = (await consumerOf(url, path, slug)) ?? {};
    expect(refusal?.message).toContain(lastError);
    expect(nextAttemptAt).toBeDefined();
    expect(lag).toBeGreaterThan(0);
  }
  expect(receiver.connections()).toBe(0);
});

test.each(["ws://127.0.0.1", "ws://localhost", "ws://[::1]", "http://127.0.0.1", "wss://10.0.0.1"])(
  "no WebSocket is opened to %s",
  async (host) => {
    const receiver = await receivers.listenRaw(() => undefined);
    const socketPath = `${path}/${host.replaceAll(/[^a-z0-9.:]/g, "")}`;
    const callbackUrl = `${host}:${receiver.port}/`;
    await subscribeWebhook(url, socketPath, "socket", callbackUrl, { type: "websocket" });
    await appendNumbers(url, socketPath, 1);
    const { lastError } = await waitingOf(url, socketPath, "socket");
    expect(lastError).toMatch(/ is not a public address/);
    expect(receiver.connections()).toBe(0);
  },
);

test.each(["file:///etc/passwd", "ftp://example.com/", "data:text/plain,x", "http://user:password@example.com/"])(
  "%s is no place to deliver to",
  async (callbackUrl) => {
    const payload = { slug: "none", type: "webhook", callbackUrl };
    const [stored] = await append(url, path, { type: builtin("subscription/configured"), payload });
    expect(stored).toMatchObject({
      type: builtin("invalid-event-appended"),
      payload: { error: expect.stringMatching(/^payload\.callbackUrl: expected a URL/) },
    });
    expect(await consumerOf(url, path, "none")).toBeUndefined();
  },
);
