/** Cloudflare Workers: `wrangler deploy examples/hosts/worker.mjs`, with MILLRACE_URL and SIGNING_SECRET as its secrets. */
import { createEventsClient, createSocketHandler, createWebhookHandler } from "@millrace/sdk/processor";
import { pong } from "./pong.mjs";

let hook, socket;
export default {
  async fetch(request, env) {
    const { MILLRACE_URL: baseUrl, SIGNING_SECRET: signingSecret } = env;
    const options = { client: createEventsClient({ baseUrl }), processor: pong, signingSecret };
    if (request.headers.get("upgrade") !== "websocket") return (hook ??= createWebhookHandler(options))(request);
    socket ??= createSocketHandler(options);
    const refused = socket.refusal(request.headers);
    if (refused !== undefined) return new Response(refused, { status: 401 });
    const { 0: client, 1: accepted } = new WebSocketPair();
    accepted.accept();
    socket(accepted, request.headers);
    return new Response(null, { status: 101, webSocket: client });
  },
};
