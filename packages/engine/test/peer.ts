/** A peer of WebSocket subscriptions in memory: an Outbound that connects to a function, and remembers what came. */
import type { Outbound, OutboundSocket, SocketRequest } from "../src/ports/outbound.ts";
import { OutboundError } from "../src/ports/outbound.ts";

export interface PeerFrame {
  type: string;
  offset: number;
  after: number;
}

export interface Peer extends Outbound {
  /** The requests that were upgraded, in order. */
  readonly requests: SocketRequest[];
  readonly frames: PeerFrame[];
  readonly ends: string[];
  /** How many are open. */
  open(): number;
  /** Ends all, as the other side. */
  hangUp(): void;
}

/** @param talk is given every event, and says what the peer sends */
export function createPeer(talk: (frame: PeerFrame, say: (frame: object) => void) => void): Peer {
  const peer = { requests: [] as SocketRequest[], frames: [] as PeerFrame[], ends: [] as string[] };
  const hangUps = new Set<(code: number, reason: string) => void>();

  function accept(request: SocketRequest): OutboundSocket {
    peer.requests.push(request);
    let end = (_code: number, _reason: string) => {};
    const closed = new Promise<{ code: number; reason: string }>((resolve) => {
      end = (code, reason) => {
        if (hangUps.delete(end)) peer.ends.push(`${code} ${reason}`);
        resolve({ code, reason });
      };
    });
    hangUps.add(end);
    return {
      closed,
      async send(text) {
        const frame = JSON.parse(text) as PeerFrame;
        peer.frames.push(frame);
        if (frame.type === "event") talk(frame, (said) => request.onMessage(JSON.stringify(said)));
      },
      close: (code, reason) => end(code, reason),
    };
  }

  return {
    ...peer,
    open: () => hangUps.size,
    hangUp() {
      for (const end of hangUps) end(1006, "");
    },
    send: () => Promise.reject(new OutboundError("unreachable", "nobody takes requests here")),
    connect: async (request) => accept(request),
    close: async () => {},
  };
}

export const acknowledging = (): Peer => createPeer(({ offset }, say) => say({ type: "ack", offset }));
