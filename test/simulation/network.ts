/**
 * The network: receivers whose mood the simulation changes, and packets on their way. A packet is on its own once it
 * was sent: it arrives although its sender has crashed or given up, and an answer may find nobody, or get lost.
 */
import { type Outbound, OutboundError, type OutboundRequest, type OutboundResponse } from "@millrace/engine";
import type { SeededRandom } from "@millrace/testing";
import type { Deliveries, Sent } from "./deliveries.ts";
import type { Server } from "./server.ts";
import { createSockets } from "./sockets.ts";

export const moods = [
  ...["healthy", "healthy", "healthy", "sick", "busy", "moved", "picky", "picky"],
  ...["gone", "silent", "closing", "slow", "refused", "moody", "refusing", "hesitant"],
] as const;
export type Mood = (typeof moods)[number];

export const receivers = ["http://one.test", "http://two.test", "http://three.test"];

export interface Packet {
  server: Server;
  what: string;
  /** It takes until then, by the clock of the world. */
  notBefore: number;
  isAnswer: boolean;
  arrive(): void;
  lose(): void;
}

export interface Network {
  packets: Packet[];
  readonly moods: Map<string, Mood>;
  /** Requests that arrived. */
  arrivals: number;
  /** Events that arrived over WebSockets. */
  frames: number;
  wayOut(server: Server): Outbound;
}

interface NetworkNeeds {
  random: SeededRandom;
  deliveries: Deliveries;
  now(): number;
}

interface Answer extends Omit<OutboundResponse, "body"> {
  afterMs?: number;
}

export function createNetwork({ random, deliveries, now }: NetworkNeeds): Network {
  /** What a hesitant receiver was sent before. */
  const known = new Set<string>();
  const network: Network = { packets: [], moods: new Map(), arrivals: 0, frames: 0, wayOut };

  function wayOut(server: Server): Outbound {
    const underWay = new Set<(error: OutboundError) => void>();
    const moodOf = (origin: string) => network.moods.get(origin) ?? "healthy";
    const arrived = () => void network.frames++;
    const sockets = createSockets({ random, deliveries, now, moodOf, send: packet, arrived }, server);
    return {
      async send(request) {
        const { origin } = new URL(request.url);
        if (request.signal.aborted) throw new OutboundError("aborted", `${origin}: not sent any more.`);
        if (network.moods.get(origin) === "refused")
          throw new OutboundError("refused", `${origin} may not be sent to.`);
        return new Promise((resolve, reject) => sendOff(server, request, underWay, resolve, reject));
      },
      async connect(request) {
        const { origin } = new URL(request.url);
        if (request.signal.aborted) throw new OutboundError("aborted", `${origin}: not opened any more.`);
        if (moodOf(origin) === "refused") throw new OutboundError("refused", `${origin} may not be sent to.`);
        return sockets.connect(request);
      },
      async close() {
        sockets.close();
        for (const fail of [...underWay]) fail(new OutboundError("aborted", "The way out is closed."));
      },
    };
  }

  function sendOff(
    server: Server,
    request: OutboundRequest,
    underWay: Set<(error: OutboundError) => void>,
    resolve: (response: OutboundResponse) => void,
    reject: (error: OutboundError) => void,
  ): void {
    const { origin } = new URL(request.url);
    const sent = deliveries.sent(server, request);
    const cancelTimer = server.clock.setTimer(request.timeoutMs, () =>
      fail(new OutboundError("timeout", `${origin}: no answer within ${request.timeoutMs} ms.`)),
    );
    const abort = () => fail(new OutboundError("aborted", `${origin}: the request was aborted.`));
    request.signal.addEventListener("abort", abort, { once: true });
    underWay.add(fail);
    const what = `${sent.path} ${sent.id} for ${origin}`;
    const isAnswer = false;
    packet({ server, what, isAnswer, notBefore: 0, arrive, lose: () => fail(unreachable()) });

    function unreachable(): OutboundError {
      return new OutboundError("unreachable", `${origin}: the connection was closed.`);
    }

    function arrive(): void {
      network.arrivals++;
      const answer = answerOf(network.moods.get(origin) ?? "healthy", sent);
      if (answer === "never") return;
      if (answer !== "closes") deliveries.answered(sent, answer.status);
      const said = `${answer === "closes" ? "nothing" : answer.status} to ${what}`;
      const hear = () => (answer === "closes" ? fail(unreachable()) : done(answer));
      const notBefore = now() + (answer === "closes" ? 0 : (answer.afterMs ?? 0));
      packet({ server, what: said, isAnswer: true, notBefore, arrive: hear, lose: () => fail(unreachable()) });
    }

    function done({ status, headers }: Answer): void {
      if (!settle()) return;
      deliveries.heard(sent, status);
      resolve({ status, headers, body: "" });
    }

    function fail(error: OutboundError): void {
      if (settle()) reject(error);
    }

    /** False when it is over already, or when nobody is there any more. */
    function settle(): boolean {
      cancelTimer();
      request.signal.removeEventListener("abort", abort);
      return underWay.delete(fail) && !server.gone;
    }
  }

  function packet(sent: Packet): void {
    network.packets.push(sent);
  }

  function answerOf(mood: Mood, sent: Sent): Answer | "never" | "closes" {
    switch (mood) {
      case "healthy":
      case "refused":
        return { status: random.pick([200, 202, 204]), headers: {} };
      case "sick":
        return { status: random.pick([500, 502, 503]), headers: {} };
      case "busy": {
        const later = random.pick(["7", "5000", "100000", new Date(now() + 30_000).toUTCString(), "soon"]);
        return { status: random.pick([429, 503]), headers: { "retry-after": later } };
      }
      case "moved":
        return { status: 302, headers: { location: "http://elsewhere.test" } };
      case "picky":
        return { status: sent.offset % 3 === 0 ? random.pick([400, 413, 422]) : 200, headers: {} };
      case "refusing":
        return { status: random.pick([400, 413, 422]), headers: {} };
      case "hesitant":
        if (known.has(sent.id)) return { status: 200, headers: {} };
        known.add(sent.id);
        return { status: 500, headers: {} };
      case "gone":
        return { status: 410, headers: {} };
      case "silent":
        return "never";
      case "closing":
        return "closes";
      case "slow":
        return { status: 200, headers: {}, afterMs: random.pick([3_000, 14_000, 30_000]) };
      case "moody":
        return answerOf(random.pick(["healthy", "sick", "picky", "silent", "closing", "slow"]), sent);
    }
  }

  return network;
}
