/** What a case of the Outbound suite is given, and what most of them need. */
import type { Outbound, OutboundRequest, OutboundResponse, OutboundSocket, SocketRequest } from "@millrace/engine";
import { check, checkEqual } from "../check.ts";
import type { ReceivedRequest, Receiver } from "../simulated-network.ts";
import type { ReceivedUpgrade, SocketPeer } from "../socket-peer.ts";

/** An Outbound, and somebody whom it can reach. Nothing of it is shared between cases. */
export interface OutboundFixture {
  outbound: Outbound;
  /** A new receiver at a URL of its own, and what came to it. */
  listen(receiver: Receiver): Promise<ListeningReceiver>;
  /** A new peer at a URL of its own, and what asked it for a WebSocket. */
  accept(peer: SocketPeer): Promise<AcceptingPeer>;
  /** A way out to the same receivers that may not lead to this URL. */
  forbidding(url: string): Outbound;
  /** A URL where nobody listens. */
  readonly nowhere: string;
  /** Lets time pass until this is settled, where time does not pass by itself. */
  until<Value>(promise: Promise<Value>): Promise<Value>;
  dispose(): Promise<void>;
}

export interface ListeningReceiver {
  url: string;
  received: readonly ReceivedRequest[];
}

export interface AcceptingPeer {
  /** http */
  url: string;
  requests: readonly ReceivedUpgrade[];
}

export interface OutboundCase {
  name: string;
  run(fixture: OutboundFixture): Promise<void>;
}

/** In everything that is sent, and in no message. */
export const confidential = "confidential-9f8e7d";

export function request(url: string, given: Partial<OutboundRequest> = {}): OutboundRequest {
  return {
    url,
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${confidential}` },
    body: JSON.stringify({ value: confidential }),
    timeoutMs: 10_000,
    responseBytesMax: 64 * 1024,
    signal: new AbortController().signal,
    ...given,
  };
}

export async function send(
  { outbound, until }: OutboundFixture,
  url: string,
  given: Partial<OutboundRequest> = {},
): Promise<OutboundResponse> {
  return until(outbound.send(request(url, given)));
}

export function socketRequest(url: string, given: Partial<SocketRequest> = {}): SocketRequest {
  return {
    url,
    headers: { authorization: `Bearer ${confidential}` },
    timeoutMs: 10_000,
    messageBytesMax: 64 * 1024,
    signal: new AbortController().signal,
    onMessage: () => {},
    ...given,
  };
}

export async function connect(
  { outbound, until }: OutboundFixture,
  url: string,
  given: Partial<SocketRequest> = {},
): Promise<OutboundSocket> {
  return until(outbound.connect(socketRequest(url, given)));
}

/** Rejected, as an OutboundError with this reason, whose message gives nothing away. */
export async function checkFails(promise: Promise<unknown>, reason: string, what: string): Promise<void> {
  const error = await promise.then(
    (value) => {
      throw new Error(`${what}: expected a failure, got ${JSON.stringify(value)}`);
    },
    (failure: Error & { reason?: string }) => failure,
  );
  checkEqual([error.name, error.reason], ["OutboundError", reason], `${what}: ${error.message}`);
  check(!error.message.includes(confidential), `${what}: the message gives away what was sent: ${error.message}`);
  check(error.message.length > 0 && error.message.length < 500, `${what}: a message of ${error.message.length}`);
}
