/** Signed deliveries in, `Response` out: what Hono, Next, Bun and plain Node are given here. */
import { createEventsClient, createWebhookHandler } from "@millrace/sdk/processor";
import { pong } from "./pong.mjs";

const { MILLRACE_URL, SIGNING_SECRET } = process.env;
const client = createEventsClient({ baseUrl: MILLRACE_URL });
export const hook = createWebhookHandler({ client, processor: pong, signingSecret: SIGNING_SECRET });
