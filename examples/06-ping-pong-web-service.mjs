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
import { once } from "node:events";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { createEventsClient } from "@millrace/sdk";
import { Webhook } from "standardwebhooks";

const [path = "/examples/called"] = process.argv.slice(2);
const client = createEventsClient({ baseUrl: process.env.MILLRACE_URL ?? "http://127.0.0.1:4040" });
const slug = "ping-pong-service";
const signingKey = randomBytes(24).toString("base64");
const webhook = new Webhook(signingKey);

const service = createServer(async (request, response) => {
  let event;
  try {
    event = webhook.verify(await text(request), request.headers);
  } catch {
    response.writeHead(401).end("The signature is not that of the server.");
    return;
  }
  try {
    await answer(event, request.headers);
    response.writeHead(204).end();
  } catch (error) {
    // It comes again, later and later.
    console.error(error);
    response.writeHead(503).end();
  }
});

async function answer({ streamPath, offset, payload }, headers) {
  const cause = { streamPath, offset, depth: Number(headers["millrace-depth"]), slug };
  // An event may be delivered twice: with this key the second pong is the first one.
  const idempotencyKey = `pong/${headers["webhook-id"]}`;
  await client.append(streamPath, { type: "pong", payload: { n: payload.n } }, { cause, idempotencyKey });
  console.log(`pong ${payload.n}`);
}

service.listen(0, "127.0.0.1");
await once(service, "listening");
const origin = `http://127.0.0.1:${service.address().port}`;
const callbackUrl = `${origin}/`;

// A new key with each start: nothing has to be remembered here.
await client.secrets.set({ name: "PING_PONG_SIGNING", value: signingKey, hosts: [origin] });
await client.append(path, {
  type: "https://events.iterate.com/events/stream/subscription/configured",
  payload: {
    slug,
    type: "webhook",
    callbackUrl,
    jsonataFilter: 'type = "ping"',
    signingSecret: "{{secret:PING_PONG_SIGNING}}",
  },
});
console.log(`answering the pings of ${path} at ${callbackUrl}`);
