/**
 * Answer each ping with a pong, as a web service: the server calls it, it has no connection of its own. It looks at the
 * signature, so nobody else can make it answer. On one machine the server has to be allowed to call back:
 *
 *     npm start -- --allow-private-destinations
 *     node examples/06-ping-pong-web-service.mjs
 *
 * and in another terminal: npx millrace append /examples/called ping --payload '{"n":1}'
 */
import { randomBytes } from "node:crypto";
import { serve } from "@hono/node-server";
import { createEventsClient, createWebhookHandler, defineProcessor } from "@millrace/sdk/processor";

const [path = "/examples/called"] = process.argv.slice(2);
const client = createEventsClient({ baseUrl: process.env.MILLRACE_URL ?? "http://127.0.0.1:4040" });
const signingSecret = randomBytes(24).toString("base64");

const pingPong = defineProcessor({
  slug: "ping-pong-service",
  initialState: { pings: 0 },
  reduce: ({ state, event }) => (event.type === "ping" ? { pings: state.pings + 1 } : state),
  async afterAppend({ event, state, append }) {
    if (event.type !== "ping") return;
    await append({ type: "pong", payload: { n: event.payload.n, count: state.pings } });
    console.log(`pong ${event.payload.n}`);
  },
});

// Web standards, Request in and Response out: the same line serves Workers, Next and Hono.
const handler = createWebhookHandler({ client, processor: pingPong, path, signingSecret });
const { port } = await new Promise((resolve) => serve({ fetch: handler, port: 0, hostname: "127.0.0.1" }, resolve));
const origin = `http://127.0.0.1:${port}`;
const callbackUrl = `${origin}/`;

// A new key with each start: nothing has to be remembered here.
await client.secrets.set({ name: "PING_PONG_SIGNING", value: signingSecret, hosts: [origin] });
await client.append(path, {
  type: "https://events.iterate.com/events/stream/subscription/configured",
  payload: {
    slug: pingPong.slug,
    type: "webhook",
    callbackUrl,
    signingSecret: "{{secret:PING_PONG_SIGNING}}",
  },
});
console.log(`answering the pings of ${path} at ${callbackUrl}`);
