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
  type OutboundSocket,
  type SocketRequest,
} from "@millrace/engine";
import type { SeededRandom } from "./seeded-random.ts";
import { openSimulatedSocket } from "./simulated-socket.ts";
import type { PeerTalk, ReceivedUpgrade, SocketPeer } from "./socket-peer.ts";

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
  /** The same for WebSockets. */
  registerPeer(url: string, peer: SocketPeer): void;
  remove(url: string): void;
  /** From now on, requests to this origin are refused before they are sent. */
  refuse(origin: string): void;
  /** The way out of another server into this network, with a clock of its own. */
  join(needs: NetworkNeeds): Outbound;
}

interface World {
  received: ReceivedRequest[];
  receivers: Map<string, Receiver>;
  peers: Map<string, SocketPeer>;
  refused: Set<string>;
}

export function createSimulatedNetwork(needs: NetworkNeeds): SimulatedNetwork {
  const world: World = { received: [], receivers: new Map(), peers: new Map(), refused: new Set() };
  return {
    ...createWayOut(world, needs),
    received: world.received,
    register: (url, receiver) => void world.receivers.set(placeOf(new URL(url)), receiver),
    registerPeer: (url, peer) => void world.peers.set(placeOf(new URL(url)), peer),
    remove(url) {
      world.receivers.delete(placeOf(new URL(url)));
      world.peers.delete(placeOf(new URL(url)));
    },
    refuse: (origin) => void world.refused.add(new URL(origin).origin),
    join: (others) => createWayOut(world, others),
  };
}

function createWayOut(world: World, { clock, random, latencyMsMax = 20 }: NetworkNeeds): Outbound {
  const underWay = new Set<(error: OutboundError) => void>();
  /** How each open socket is cut. */
  const sockets = new Set<() => void>();
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

  /** What the peer makes of the request, once it is here again. */
  async function upgrade(request: SocketRequest, url: URL): Promise<PeerTalk> {
    await wait(latency());
    const peer = world.peers.get(placeOf(url));
    if (peer === undefined) throw new OutboundError("unreachable", `${url.origin}: connection refused.`);
    const received: ReceivedUpgrade = { url: url.href, headers: lowerCased(request.headers) };
    const answer = peer(received);
    if (answer === "never") return new Promise(() => undefined);
    await wait(latency());
    if (answer === "closes") throw new OutboundError("unreachable", `${url.origin}: the connection was closed.`);
    if (!("status" in answer)) return answer;
    throw new OutboundError("unreachable", `${url.origin} answered ${answer.status}, and opened no WebSocket.`);
  }

  function open(request: SocketRequest, talk: PeerTalk): OutboundSocket {
    const { socket, cut } = openSimulatedSocket({ clock, random, latencyMsMax }, request, talk);
    sockets.add(cut);
    void socket.closed.then(() => sockets.delete(cut));
    return socket;
  }

  /** Rejects when it takes too long, is aborted, or when the way out is closed. */
  function within<Value>({ timeoutMs, signal }: OutboundRequest | SocketRequest, url: URL, work: () => Promise<Value>) {
    if (closed || signal.aborted) throw new OutboundError("aborted", `${url.origin}: not sent any more.`);
    return new Promise<Value>((resolve, reject) => {
      const late = new OutboundError("timeout", `${url.origin}: no answer within ${timeoutMs} ms.`);
      const cancelTimer = clock.setTimer(timeoutMs, () => fail(late));
      const abort = () => fail(new OutboundError("aborted", `${url.origin}: the request was aborted.`));
      signal.addEventListener("abort", abort, { once: true });
      underWay.add(fail);
      work().then((value) => settle(() => resolve(value)), fail);

      function fail(error: unknown): void {
        settle(() => reject(error));
      }

      function settle(tell: () => void): void {
        cancelTimer();
        signal.removeEventListener("abort", abort);
        underWay.delete(fail);
        tell();
      }
    });
  }

  function judged({ url, headers }: OutboundRequest | SocketRequest): URL {
    const parsed = toUrl(url, world.refused);
    judgeHeaders(headers);
    return parsed;
  }

  return {
    async send(request) {
      const url = judged(request);
      return within(request, url, () => travel(request, url));
    },

    async connect(request) {
      const url = judged(request);
      const talk = await within(request, url, () => upgrade(request, url));
      if (closed) throw new OutboundError("aborted", "The way out is closed.");
      return open(request, talk);
    },

    async close() {
      closed = true;
      for (const cut of [...sockets]) cut();
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
