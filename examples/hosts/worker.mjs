/** Cloudflare Workers, a webhook and a WebSocket: `wrangler deploy` it with MILLRACE_URL and SIGNING_SECRET set. */
import { createEventsClient, createSocketHandler, createWebhookHandler, memoryCursors } from "@millrace/sdk/processor";
import { pong } from "./pong.mjs";

// Plain data may be shared between requests. A handler may not: what it waits for ends with the request that began it.
const cursors = memoryCursors();

export default {
  async fetch(request, { MILLRACE_URL, SIGNING_SECRET }) {
    const client = createEventsClient({ baseUrl: MILLRACE_URL });
    const options = { client, processor: pong, signingSecret: SIGNING_SECRET, cursors };
    if (request.headers.get("upgrade") !== "websocket") return createWebhookHandler(options)(request);

    const socket = createSocketHandler(options);
    const refused = socket.refusal(request.headers);
    if (refused !== undefined) return new Response(refused, { status: 401 });
    const { 0: theirs, 1: accepted } = new WebSocketPair();
    accepted.accept();
    socket(accepted, request.headers);
    return new Response(null, { status: 101, webSocket: theirs });
  },
};
