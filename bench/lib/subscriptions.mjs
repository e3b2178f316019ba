/** Subscriptions on the streams of a scenario. */
import { appendBatch } from "./millrace-client.mjs";

const type = "https://events.iterate.com/events/stream/subscription/configured";

/** The server may only lead to this machine when it is told so. */
export const webhooksToThisMachine = ["--allow-private-destinations"];

/** Whose events are never for anybody: the expression is evaluated for each. */
export const falseFilter = "type = 'order-placed' and payload.total > 100";

/** One subscription for each receiver on one stream, in one commit. @param {number[]} receivers their ports */
export function subscribe(port, stream, receivers, { jsonataFilter } = {}) {
  const events = receivers.map((receiver, index) => ({
    type,
    payload: {
      slug: `webhook-${index}`,
      type: "webhook",
      callbackUrl: `http://127.0.0.1:${receiver}/`,
      ...(jsonataFilter === undefined ? {} : { jsonataFilter }),
    },
  }));
  return appendBatch(port, stream, events);
}

/** A WebSocket subscription to a peer. @param {number} peer its port */
export function subscribeSocket(port, stream, peer) {
  const payload = { slug: "socket", type: "websocket", callbackUrl: `ws://127.0.0.1:${peer}/` };
  return appendBatch(port, stream, [{ type, payload }]);
}

/** Every subscription of the stream has come to its end. */
export async function untilNothingIsLeft(port, stream, patienceMs) {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/api/state/${stream}`);
    const { consumers = {} } = await answer.json();
    if (Object.values(consumers).every(({ lag }) => lag === 0)) return;
    if (performance.now() > deadline) throw new Error(`the subscriptions of ${stream} did not come to the end`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
