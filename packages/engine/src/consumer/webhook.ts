/**
 * Delivery to a webhook: one signed POST for each event, with the headers that the subscription names. What the answer
 * means is decided here; when another attempt is made is the driver's business.
 */
import { type ConsumerSpec, consumerName, isReport, LaterError, type StreamEvent } from "@millrace/protocol";
import { subscriptions } from "../builtin/subscriptions.ts";
import type { Slices } from "../state.ts";
import { isConfiguredBy } from "./configured.ts";
import { excerpt, filledHeaders, hostOf, ownHeaders } from "./push-headers.ts";
import { textOf } from "./rules.ts";
import { signer } from "./signing.ts";
import type { ConsumerPlace } from "./spec.ts";
import type { Deliver, Delivery, SubscriptionPayload, SubscriptionPorts } from "./subscriptions.ts";

const defaultTimeoutSeconds = 15;
/** The receiver says that it is the event that is wrong. So often it may say so. */
const refusalStatuses: ReadonlySet<number> = new Set([400, 413, 422]);
const refusalsMax = 3;
const gone = 410;
const prefix = "https://events.iterate.com/events/stream/subscription/";

export function createWebhook(
  payload: SubscriptionPayload,
  spec: ConsumerSpec,
  place: ConsumerPlace,
  cursor: number,
  { outbound, secrets }: SubscriptionPorts,
): Deliver {
  const url = payload.callbackUrl as string;
  const { slug } = payload;
  // Of this life, whatever the path holds by the time that an answer comes.
  const streamId = place.streamId();
  const sign = signer(payload, spec, place, secrets);
  /** Everything up to here was delivered, or was not for this subscription. After a restart that is the cursor. */
  let proven = cursor;
  /** How often the receiver refused the event of this hook. A restart forgets it, and asks again. */
  let refused = { offset: 0, times: 0 };

  async function counted(delivery: Delivery): Promise<void> {
    let taken = false;
    try {
      taken = await deliver(delivery);
    } finally {
      place.meter[taken ? "deliveries" : "deliveryFailures"]++;
    }
  }

  /** False where it was not taken, and that is settled all the same. */
  async function deliver(delivery: Delivery): Promise<boolean> {
    const { event, again, hook } = delivery;
    const body = delivery.transformed ?? textOf(event);
    const { headers, redact } = await filledHeaders(payload.headers ?? {}, url, place.project, secrets);
    // It may be proven itself, where its hook was ended as the answer came: then it comes once more.
    const after = again ? event.offset - 1 : Math.min(proven, event.offset - 1);
    const own = { ...(await ownHeaders(event, slug, place, body, sign)), "millrace-after": String(after) };
    const { status, ...answer } = await outbound.send({
      url,
      method: "POST",
      headers: { "content-type": "application/json", "user-agent": "Millrace", ...headers, ...own },
      body,
      timeoutMs: (payload.timeoutSeconds ?? defaultTimeoutSeconds) * 1_000,
      responseBytesMax: place.limits.deliveryResponseBytes,
      signal: hook.signal,
    });
    if (status >= 200 && status < 300) {
      if (!again) proven = event.offset;
      return true;
    }
    const message = `${hostOf(url)} answered ${status}${excerpt(redact(answer.body))}`;
    if (status === gone) await removed(message, event);
    else if (refusalStatuses.has(status) && refusedOnceMore(hook.event.offset)) await parked(status, message, delivery);
    else throw failure(status, message, answer.headers["retry-after"], place.clock.now());
    return false;
  }

  function refusedOnceMore(offset: number): boolean {
    refused = { offset, times: refused.offset === offset ? refused.times + 1 : 1 };
    return refused.times >= refusalsMax;
  }

  async function parked(status: number, message: string, { event, again, hook }: Delivery): Promise<void> {
    const { offset } = event;
    if (!isReport(event)) {
      const said = { slug, offset, status, message, attempts: refusalsMax };
      await tell("event-parked", `parked/${hook.event.offset}`, said, hook.event.offset);
    }
    // The next delivery names it, and so a receiver learns that it lacks something.
    if (!again) proven = offset;
  }

  async function removed(message: string, { offset }: StreamEvent): Promise<void> {
    await tell("removed", `gone/${spec.configuredAt}`, { slug, reason: message }, offset);
  }

  async function tell(name: string, what: string, said: object, offset: number): Promise<void> {
    const key = `d:${consumerName("subscription", slug)}/${spec.epoch}/${streamId}/${what}`;
    const event = { type: prefix + name, payload: said as never };
    // An answer to what was configured before says nothing about what is configured now.
    const stillTrue = (slices: Slices) => isConfiguredBy(subscriptions, spec, slices);
    await place.state({ streamId, key, event, offset, slug, stillTrue });
  }

  return counted;
}

function failure(status: number, message: string, retryAfter: string | undefined, now: number): Error {
  const redirected = status >= 300 && status < 400;
  const explained = redirected
    ? `${message} Redirects are not followed: configure the address that it leads to.`
    : message;
  const waitMs = waitOf(retryAfter, now);
  return waitMs === undefined ? new Error(explained) : new LaterError(explained, waitMs);
}

/** Seconds, or a date. */
function waitOf(retryAfter: string | undefined, now: number): number | undefined {
  if (retryAfter === undefined) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(retryAfter)) return Number(retryAfter) * 1_000;
  const at = Date.parse(retryAfter);
  return Number.isNaN(at) ? undefined : Math.max(at - now, 0);
}
