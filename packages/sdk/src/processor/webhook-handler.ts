/**
 * Runs a processor as a web service that is pushed to: a fetch handler for the deliveries of a webhook subscription. An
 * event is answered with 200 when the processor has acted on it and that is saved, so the server delivers until then.
 */
import { Webhook } from "standardwebhooks";
import { createPushedRuns, type Delivered, isStreamEvent, type PushedOptions } from "./pushed-runs.ts";

export interface WebhookHandlerOptions extends PushedOptions {
  /** As the first answer to `subscription/configured` showed it, or as it was stored. Without it nobody is believed. */
  signingSecret: string;
}

export interface WebhookHandler {
  (request: Request): Promise<Response>;
  /** Aborts what runs, and saves. */
  stop(): Promise<void>;
}

export function createWebhookHandler(options: WebhookHandlerOptions): WebhookHandler {
  const verifier = new Webhook(options.signingSecret);
  const runs = createPushedRuns(options);

  async function handle(request: Request): Promise<Response> {
    if (request.method !== "POST") return answer(405, "Deliveries are POST requests of a webhook subscription.");
    const delivered = parseDelivery(await request.text(), request.headers, verifier);
    if (typeof delivered === "string") return answer(401, delivered);
    const refusal = runs.refusal(delivered.event.streamPath);
    if (refusal !== undefined) return answer(404, refusal);
    try {
      await runs.take(delivered);
      return new Response(null, { status: 204 });
    } catch (error) {
      return answer(500, (error as Error).message);
    }
  }

  return Object.assign(handle, { stop: runs.stop });
}

/** What is wrong with it, in words, when it is not a delivery that can be believed. */
function parseDelivery(body: string, headers: Headers, verifier: Webhook): Delivered | string {
  let event: unknown;
  try {
    event = verifier.verify(body, Object.fromEntries(headers));
  } catch (error) {
    return `The signature does not hold: ${(error as Error).message}.`;
  }
  const [streamId = ""] = (headers.get("webhook-id") ?? "").split(".");
  const after = Number(headers.get("millrace-after") ?? Number.NaN);
  if (!isStreamEvent(event) || streamId === "" || !Number.isSafeInteger(after)) {
    return "This is signed and no event: a subscription that delivers to a processor has no jsonataTransform.";
  }
  return { event, streamId, after };
}

/** Anything but 2xx is delivered again. 400, 413 and 422 would be parked, which is for events that are wrong. */
function answer(status: number, message: string): Response {
  return new Response(`${message}\n`, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}
