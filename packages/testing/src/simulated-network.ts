/**
 * A network in memory, for the simulation and for tests of the engine: an Outbound whose receivers are functions. What
 * takes time takes it from the clock that it is given, how long from its chance; so the same seed gives the same run.
 */
import {
  type Clock,
  type Outbound,
  OutboundError,
  type OutboundRequest,
  type OutboundResponse,
} from "@millrace/engine";
import type { SeededRandom } from "./seeded-random.ts";

/** What a receiver got. */
export interface ReceivedRequest {
  url: string;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  body: string;
  /** By the wall clock of whoever sent it. */
  at: number;
}

/** What a receiver does: answer (`afterMs` later), never answer, or close the connection. */
export type ReceiverAnswer =
  | { status: number; headers?: Readonly<Record<string, string>>; body?: string; afterMs?: number }
  | "never"
  | "closes";

export type Receiver = (request: ReceivedRequest) => ReceiverAnswer | Promise<ReceiverAnswer>;

export interface NetworkNeeds {
  clock: Clock;
  random: SeededRandom;
  /** On the way there, and on the way back: from 1 up to this. */
  latencyMsMax?: number;
}

export interface SimulatedNetwork extends Outbound {
  /** What came and comes to every receiver, in order. */
  readonly received: readonly ReceivedRequest[];
  /** Requests to this origin and path (whatever their query) go there from now on. Without one, nobody listens. */
  register(url: string, receiver: Receiver): void;
  remove(url: string): void;
  /** From now on, requests to this origin are refused before they are sent. */
  refuse(origin: string): void;
  /** The way out of another server into this network, with a clock of its own. */
  join(needs: NetworkNeeds): Outbound;
}

interface World {
  received: ReceivedRequest[];
  receivers: Map<string, Receiver>;
  refused: Set<string>;
}

export function createSimulatedNetwork(needs: NetworkNeeds): SimulatedNetwork {
  const world: World = { received: [], receivers: new Map(), refused: new Set() };
  return {
    ...createWayOut(world, needs),
    received: world.received,
    register: (url, receiver) => void world.receivers.set(placeOf(new URL(url)), receiver),
    remove: (url) => void world.receivers.delete(placeOf(new URL(url))),
    refuse: (origin) => void world.refused.add(new URL(origin).origin),
    join: (others) => createWayOut(world, others),
  };
}

function createWayOut(world: World, { clock, random, latencyMsMax = 20 }: NetworkNeeds): Outbound {
  const underWay = new Set<(error: OutboundError) => void>();
  let closed = false;

  function wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      clock.setTimer(milliseconds, resolve);
    });
  }

  const latency = () => 1 + random.integer(latencyMsMax);

  /** What happens in the network, whether or not anybody still waits for it. */
  async function travel(request: OutboundRequest, url: URL): Promise<OutboundResponse> {
    await wait(latency());
    const receiver = world.receivers.get(placeOf(url));
    if (receiver === undefined) throw new OutboundError("unreachable", `${url.origin}: connection refused.`);
    const received = { url: url.href, headers: lowerCased(request.headers), body: request.body, at: clock.now() };
    world.received.push(received);
    const answer = await receiver(received);
    if (answer === "never") return new Promise(() => undefined);
    if (answer !== "closes" && answer.afterMs !== undefined) await wait(answer.afterMs);
    await wait(latency());
    if (answer === "closes") throw new OutboundError("unreachable", `${url.origin}: the connection was closed.`);
    const { status, headers = {}, body = "" } = answer;
    return { status, headers: lowerCased(headers), body: cutAt(body, request.responseBytesMax) };
  }

  return {
    async send(request) {
      const url = toUrl(request.url, world.refused);
      judgeHeaders(request.headers);
      if (closed || request.signal.aborted) throw new OutboundError("aborted", `${url.origin}: not sent any more.`);
      return new Promise((resolve, reject) => {
        const late = new OutboundError("timeout", `${url.origin}: no answer within ${request.timeoutMs} ms.`);
        const cancelTimer = clock.setTimer(request.timeoutMs, () => fail(late));
        const abort = () => fail(new OutboundError("aborted", `${url.origin}: the request was aborted.`));
        request.signal.addEventListener("abort", abort, { once: true });
        underWay.add(fail);
        travel(request, url).then((response) => settle(() => resolve(response)), fail);

        function fail(error: unknown): void {
          settle(() => reject(error));
        }

        function settle(tell: () => void): void {
          cancelTimer();
          request.signal.removeEventListener("abort", abort);
          underWay.delete(fail);
          tell();
        }
      });
    },

    connect: async ({ url }) => {
      throw new OutboundError("unreachable", `${new URL(url).origin}: nobody accepts a WebSocket in this network.`);
    },

    async close() {
      closed = true;
      for (const fail of [...underWay]) fail(new OutboundError("aborted", "The way out is closed."));
    },
  };
}

function toUrl(text: string, refused: ReadonlySet<string>): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw new OutboundError("refused", "That is not a URL.");
  if (!/^https?:$/.test(url.protocol)) throw new OutboundError("refused", `Not over ${url.protocol}`);
  if (url.username !== "" || url.password !== "") {
    throw new OutboundError("refused", `The URL to ${url.host} has a user name or a password.`);
  }
  if (!refused.has(url.origin)) return url;
  throw new OutboundError("refused", `${url.origin}/ leads to 10.0.0.1, which is not a public address.`);
}

function judgeHeaders(headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) {
    if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)) continue;
    throw new OutboundError("refused", "A header of the request has characters that no header may have.");
  }
}

function placeOf({ origin, pathname }: URL): string {
  return `${origin}${pathname}`;
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** In bytes, and never within a character. */
function cutAt(text: string, bytesMax: number): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= bytesMax) return text;
  return new TextDecoder().decode(bytes.subarray(0, bytesMax), { stream: true });
}
