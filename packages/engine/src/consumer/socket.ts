/**
 * Delivery over a WebSocket that the server opens: one event after the other, each when the one before was
 * acknowledged. It is opened when there is something to deliver, and closed when nothing went either way for a while.
 */
import { type ConsumerSpec, nameOfSlug } from "@millrace/protocol";
import { unavailable } from "../unavailable.ts";
import { filledHeaders, hostOf } from "./push-headers.ts";
import { textOf } from "./rules.ts";
import { signer } from "./signing.ts";
import { createSocketAppends } from "./socket-appends.ts";
import { eventFrame } from "./socket-frames.ts";
import { type Line, openLine } from "./socket-line.ts";
import type { ConsumerPlace } from "./spec.ts";
import type { Deliverer, Delivery, SubscriptionPayload, SubscriptionPorts } from "./subscriptions.ts";

const defaultTimeoutSeconds = 15;
/** A server with nothing to deliver holds nothing open. */
const idleMs = 60_000;
/** What a frame has around its event. */
const frameBytes = 8 * 1024;
const normal = 1000;
const ended = "the subscription has ended";

export function createSocket(
  payload: SubscriptionPayload,
  spec: ConsumerSpec,
  place: ConsumerPlace,
  cursor: number,
  { outbound, secrets }: SubscriptionPorts,
): Deliverer {
  // What is opened is a request that is upgraded, and secrets are pinned to where requests go.
  const url = (payload.callbackUrl as string).replace(/^ws/i, "http");
  const host = hostOf(payload.callbackUrl as string);
  const { slug } = payload;
  const streamId = place.streamId();
  const sign = signer({ ...payload, callbackUrl: url }, spec, place, secrets);
  const timeoutMs = (payload.timeoutSeconds ?? defaultTimeoutSeconds) * 1_000;
  let line: Line | undefined;
  let cancelIdle = () => {};
  let closed = false;
  /** Everything up to here was delivered, or was not for this subscription. After a restart that is the cursor. */
  let proven = cursor;

  function fence(): void {
    if (closed) throw unavailable("The subscription has ended.");
  }

  function keep(): void {
    cancelIdle();
    if (closed) line?.close(normal, ended);
    else cancelIdle = place.clock.setTimer(idleMs, () => line?.close(normal, "idle"));
  }

  async function open(signal: AbortSignal): Promise<Line> {
    const { headers, redact } = await filledHeaders(payload.headers ?? {}, url, place.project, secrets);
    const name = nameOfSlug(slug);
    const own = {
      ...(await sign(`${streamId}.${name}`, "")),
      "millrace-processor": name,
      "millrace-project": place.project,
    };
    fence();
    const answerAppend = createSocketAppends(slug, place, fence);
    const opened = openLine({
      host,
      redact,
      clock: place.clock,
      answerAppend(frame, bytes) {
        keep();
        return answerAppend(frame, bytes);
      },
      connect: (onMessage) =>
        outbound.connect({
          url,
          headers: { "user-agent": "Millrace", ...headers, ...own },
          timeoutMs,
          messageBytesMax: place.limits.eventBytes + frameBytes,
          signal,
          onMessage,
        }),
    });
    await opened.opening;
    return opened;
  }

  async function deliver({ event, transformed, again, hook }: Delivery): Promise<void> {
    cancelIdle();
    let taken = false;
    try {
      if (line === undefined || line.ended) line = await open(hook.signal);
      const after = again ? event.offset - 1 : proven;
      const frame = eventFrame(event.offset, after, transformed ?? textOf(event));
      await line.deliver(event.offset, frame, timeoutMs, hook.signal);
      if (!again) proven = event.offset;
      taken = true;
    } finally {
      place.meter[taken ? "deliveries" : "deliveryFailures"]++;
      keep();
    }
  }

  return {
    deliver,
    isHolding: () => line !== undefined && !line.ended,
    close() {
      closed = true;
      cancelIdle();
      line?.close(normal, ended);
    },
  };
}
