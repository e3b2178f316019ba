/** One WebSocket of the simulated network: what is sent arrives later, in order, unless it is cut before. */
import { type Clock, OutboundError, type OutboundSocket, type SocketRequest } from "@millrace/engine";
import type { SeededRandom } from "./seeded-random.ts";
import type { PeerSocket, PeerTalk } from "./socket-peer.ts";

export interface SocketNeeds {
  clock: Clock;
  random: SeededRandom;
  latencyMsMax: number;
}

export interface SimulatedSocket {
  /** Of whoever asked for it. */
  socket: OutboundSocket;
  /** Without a word, on both sides. */
  cut(): void;
}

const cutCode = 1006;
const tooLong = 1009;

export function openSimulatedSocket(
  needs: SocketNeeds,
  { url, messageBytesMax, onMessage }: Pick<SocketRequest, "url" | "messageBytesMax" | "onMessage">,
  talk: PeerTalk,
): SimulatedSocket {
  const there = createLane(needs);
  const back = createLane(needs);
  const { origin } = new URL(url);
  /** Who said that it ends; from then on that side sends nothing. */
  let isClosing = false;
  let peerIsClosing = false;
  let isOver = false;
  let peerIsOver = false;
  let resolveClosed = (_end: { code: number; reason: string }) => {};
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    resolveClosed = resolve;
  });

  function end(code: number, reason: string): void {
    isOver = true;
    resolveClosed({ code, reason });
  }

  function endPeer(code: number, reason: string): void {
    if (peerIsOver) return;
    peerIsOver = true;
    talk.ended?.(code, reason);
  }

  function cut(): void {
    there.cut();
    back.cut();
    end(cutCode, "");
    endPeer(cutCode, "");
  }

  /** Each side answers the close of the other one, and has ended when it did. */
  function closeFromHere(code: number, reason: string): void {
    if (isClosing || isOver) return;
    isClosing = true;
    there.carry(() => {
      peerIsClosing = true;
      back.carry(() => end(code, reason));
      endPeer(code, reason);
    });
  }

  const peer: PeerSocket = {
    send(text) {
      if (peerIsClosing || peerIsOver) return;
      back.carry(() => {
        if (isClosing || isOver) return;
        if (new TextEncoder().encode(text).length > messageBytesMax) closeFromHere(tooLong, "");
        else onMessage(text);
      });
    },
    close(code, reason) {
      if (peerIsClosing || peerIsOver) return;
      peerIsClosing = true;
      back.carry(() => {
        isClosing = true;
        there.carry(() => endPeer(code, reason));
        end(code, reason);
      });
    },
    cut,
  };

  const socket: OutboundSocket = {
    closed,
    async send(text) {
      if (isClosing || isOver) throw new OutboundError("unreachable", `${origin}: it is closed.`);
      there.carry(() => {
        if (!peerIsClosing && !peerIsOver) talk.hear?.(text, peer);
      });
    },
    close: closeFromHere,
  };
  talk.opened?.(peer);
  return { socket, cut };
}

/** One direction. */
function createLane({ clock, random, latencyMsMax }: SocketNeeds) {
  let lastAt = 0;
  let isCut = false;
  return {
    carry(arrive: () => void): void {
      lastAt = Math.max(lastAt, clock.elapsedMs() + 1 + random.integer(latencyMsMax));
      clock.setTimer(lastAt - clock.elapsedMs(), () => {
        if (!isCut) arrive();
      });
    },
    cut(): void {
      isCut = true;
    },
  };
}
