/**
 * The peer of WebSocket subscriptions that outlives every crash of the server. It acknowledges what it takes at once or
 * some time later; now and then it refuses an event, is silent about it, or cuts the connection, and takes nothing that
 * comes behind that on the same connection. It judges each frame as it arrives: whoever sends it, and that a repeat is
 * what came first.
 */
import type { PeerSocket, PeerTalk, ReceivedUpgrade, SeededRandom, SocketPeer } from "@millrace/testing";
import { Webhook } from "standardwebhooks";
import type { Arrival } from "./push-receiver.ts";

/** Once for each event, or it would wait for long. */
const misbehaviours = ["refuses", "cuts", "is silent"] as const;
const misbehavesIn = 20;
/** Of all acknowledgements: so that a kill finds some under way, and they overtake each other. */
const slowIn = 4;
const slowMs = 100;

export interface PushPeer {
  accept: SocketPeer;
  /** What came for the lane and was not behind something that was not taken, in order, repeats too. */
  arrivals(lane: string): readonly Arrival[];
  trust(lane: string, secret: string): void;
  /** Throws the first fault that was found. */
  judge(): void;
  misbehaved(): number;
  /** The most events that were under way at once. */
  underWayMost(): number;
}

export function createPushPeer(random: SeededRandom): PushPeer {
  const arrivals = new Map<string, Arrival[]>();
  const secrets = new Map<string, string>();
  const firstBodies = new Map<string, string>();
  const misbehavedAt = new Set<string>();
  const faults: string[] = [];
  let underWayMost = 0;

  function talkOf(lane: string, streamId: string): PeerTalk {
    let isTaking = true;
    let underWay = 0;

    function acknowledge(socket: PeerSocket, offset: number): void {
      underWay--;
      socket.send(JSON.stringify({ type: "ack", offset }));
    }

    return {
      hear(text, socket) {
        if (!isTaking) return;
        underWayMost = Math.max(underWayMost, ++underWay);
        const arrival = arrivalOf(streamId, text);
        const misbehaviour = misbehaviourAt(arrival.id);
        isTaking = misbehaviour === undefined;
        arrivals.set(lane, [...(arrivals.get(lane) ?? []), { ...arrival, taken: isTaking }]);
        const { offset } = arrival;
        if (misbehaviour === "cuts") socket.cut();
        if (misbehaviour === "refuses") socket.send(JSON.stringify({ type: "error", offset, message: "not now" }));
        if (!isTaking) return;
        const delayMs = random.integer(slowIn) === 0 ? random.integer(slowMs) : 0;
        if (delayMs === 0) acknowledge(socket, offset);
        else setTimeout(acknowledge, delayMs, socket, offset);
      },
    };
  }

  function arrivalOf(streamId: string, text: string): Omit<Arrival, "taken"> {
    const { type, offset, after, event } = JSON.parse(text);
    const id = `${streamId}.${offset}.live`;
    const body = JSON.stringify(event);
    const first = firstBodies.get(id) ?? body;
    firstBodies.set(id, first);
    if (type !== "event" || first !== body) faults.push(`${id} came as ${first} and then as ${text}`);
    return { id, offset, after, body };
  }

  function misbehaviourAt(id: string): (typeof misbehaviours)[number] | undefined {
    if (misbehavedAt.has(id) || random.integer(misbehavesIn) !== 0) return undefined;
    misbehavedAt.add(id);
    return random.pick(misbehaviours);
  }

  function streamIdOf(lane: string, { headers }: ReceivedUpgrade): string {
    new Webhook(secrets.get(lane) as string).verify("", headers as Record<string, string>);
    const [streamId, slug] = (headers["webhook-id"] as string).split(".");
    if (slug !== "live") throw new Error(`it is for ${slug}`);
    return streamId as string;
  }

  return {
    accept(request) {
      const lane = new URL(request.url).pathname;
      try {
        return talkOf(lane, streamIdOf(lane, request));
      } catch (error) {
        faults.push(`a connection to ${lane}: ${(error as Error).message}`);
        return { status: 401 };
      }
    },
    arrivals: (lane) => arrivals.get(lane) ?? [],
    trust: (lane, secret) => void secrets.set(lane, secret),
    judge() {
      if (faults.length > 0) throw new Error(`${faults.length} frames were wrong, first ${faults[0]}`);
    },
    misbehaved: () => misbehavedAt.size,
    underWayMost: () => underWayMost,
  };
}
