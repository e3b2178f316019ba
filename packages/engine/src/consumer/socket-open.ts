/** How the connection of a WebSocket subscription is opened: where to, with which headers, and signed by whom. */
import { type ConsumerSpec, nameOfSlug } from "@millrace/protocol";
import { filledHeaders, hostOf } from "./push-headers.ts";
import { signer } from "./signing.ts";
import { createSocketAppends } from "./socket-appends.ts";
import { type Line, openLine } from "./socket-line.ts";
import type { ConsumerPlace } from "./spec.ts";
import type { SubscriptionPayload, SubscriptionPorts } from "./subscriptions.ts";

interface Opening {
  timeoutMs: number;
  /** Throws when nothing more is to be opened, and nothing of the peer is taken. */
  fence(): void;
  /** The peer appends something. */
  onAppend(): void;
}

/** What a frame has around its event. */
const frameBytes = 8 * 1024;

/** @returns opens one; rejects where that fails, and then there is none */
export function createLineOpener(
  payload: SubscriptionPayload,
  spec: ConsumerSpec,
  place: ConsumerPlace,
  { outbound, secrets }: SubscriptionPorts,
  { timeoutMs, fence, onAppend }: Opening,
): (signal: AbortSignal) => Promise<Line> {
  const { slug } = payload;
  // What is opened is a request that is upgraded, and secrets are pinned to where requests go.
  const url = (payload.callbackUrl as string).replace(/^ws/i, "http");
  const host = hostOf(payload.callbackUrl as string);
  const streamId = place.streamId();
  const name = nameOfSlug(slug);
  const sign = signer({ ...payload, callbackUrl: url }, spec, place, secrets);

  return async (signal) => {
    const { headers, redact } = await filledHeaders(payload.headers ?? {}, url, place.project, secrets);
    const own = {
      ...(await sign(`${streamId}.${name}`, "")),
      "millrace-processor": name,
      "millrace-project": place.project,
    };
    fence();
    const answerAppend = createSocketAppends(slug, place, fence);
    const line = openLine({
      host,
      redact,
      clock: place.clock,
      answerAppend(frame, bytes) {
        onAppend();
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
    await line.opening;
    return line;
  };
}
