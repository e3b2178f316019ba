/**
 * WebSockets of the network, and the peers behind them. What one side sends arrives in order, one packet at a time; a
 * packet that gets lost ends the connection, of which its sender hears, or nobody does where that is gone.
 */
import { OutboundError, type OutboundSocket, type SocketRequest } from "@millrace/engine";
import type { SeededRandom } from "@millrace/testing";
import type { Connection, Deliveries } from "./deliveries.ts";
import type { Mood, Packet } from "./network.ts";
import type { Server } from "./server.ts";

interface SocketNeeds {
  random: SeededRandom;
  deliveries: Deliveries;
  now(): number;
  moodOf(origin: string): Mood;
  send(packet: Packet): void;
  arrived(): void;
}

type Answer = { says: "ack" | "error"; afterMs?: number } | "nothing" | "cuts";

/** Of a server: what is open, and being opened, ends with the way out. */
export interface ServerSockets {
  connect(request: SocketRequest): Promise<OutboundSocket>;
  close(): void;
}

const cutCode = 1006;
const refusals: Partial<Record<Mood, number>> = { sick: 503, busy: 429, moved: 302, gone: 410, refusing: 403 };

export function createSockets(needs: SocketNeeds, server: Server): ServerSockets {
  const { deliveries, moodOf, send } = needs;
  const ends = new Set<() => void>();

  function connect(request: SocketRequest): Promise<OutboundSocket> {
    const { origin } = new URL(request.url);
    return new Promise((resolve, reject) => {
      const fail = (reason: OutboundError["reason"], message: string) =>
        settle(() => reject(new OutboundError(reason, `${origin}: ${message}.`)));
      const cancelTimer = server.clock.setTimer(request.timeoutMs, () => fail("timeout", "no open WebSocket in time"));
      const abort = () => fail("aborted", "the request was aborted");
      const cut = () => fail("aborted", "the way out is closed");
      request.signal.addEventListener("abort", abort, { once: true });
      ends.add(cut);
      const connection = deliveries.connected(server, request);
      const what = `WebSocket ${connection.streamId} for ${origin}`;
      const lose = () => fail("unreachable", "the connection was closed");
      send({ server, what, isAnswer: false, notBefore: 0, lose, arrive });

      function arrive(): void {
        const mood = moodOf(origin);
        if (mood === "silent") return;
        const status = refusals[mood];
        const hear = () => {
          if (status !== undefined) fail("unreachable", `it answered ${status}`);
          else if (mood === "closing") lose();
          else settle(() => resolve(open(request, connection)));
        };
        send({ server, what: `${status ?? "open"} to ${what}`, isAnswer: true, notBefore: 0, arrive: hear, lose });
      }

      function settle(tell: () => void): void {
        cancelTimer();
        request.signal.removeEventListener("abort", abort);
        if (ends.delete(cut) && !server.gone) tell();
      }
    });
  }

  function open({ url, onMessage }: SocketRequest, connection: Connection): OutboundSocket {
    const { origin } = new URL(url);
    let isOver = false;
    let resolveClosed = (_end: { code: number; reason: string }) => {};
    const closed = new Promise<{ code: number; reason: string }>((resolve) => {
      resolveClosed = resolve;
    });
    const there = createLane(needs, server, false, () => cut());
    const back = createLane(needs, server, true, () => cut());
    const cut = () => end(cutCode, "");
    const peer = createPeer(
      needs,
      origin,
      (text, afterMs) => {
        back.carry(`${text} of ${origin}`, afterMs, () => {
          if (!isOver && !server.gone) onMessage(text);
        });
      },
      cut,
    );
    ends.add(cut);

    function end(code: number, reason: string): void {
      isOver = true;
      there.cut();
      back.cut();
      ends.delete(cut);
      if (!server.gone) resolveClosed({ code, reason });
    }

    return {
      closed,
      async send(text) {
        if (isOver) throw new OutboundError("unreachable", `${origin}: it is closed.`);
        const sent = deliveries.sentOver(connection, text);
        there.carry(`${sent.path} ${sent.id} for ${origin}`, 0, () => peer(sent));
      },
      close(code, reason) {
        if (!isOver) end(code, reason);
      },
    };
  }

  return {
    connect,
    close() {
      for (const end of [...ends]) end();
    },
  };
}

/** Takes what it has a mood to take; behind what it did not take nothing, on the same connection. */
function createPeer(
  { random, deliveries, moodOf, arrived }: SocketNeeds,
  origin: string,
  say: (text: string, afterMs: number) => void,
  cut: () => void,
): (sent: ReturnType<Deliveries["sentOver"]>) => void {
  let isTaking = true;

  function answerOf(mood: Mood, offset: number): Answer {
    switch (mood) {
      case "silent":
        return "nothing";
      case "closing":
      case "gone":
        return "cuts";
      case "sick":
      case "busy":
      case "moved":
      case "refusing":
        return { says: "error" };
      case "picky":
        return { says: offset % 3 === 0 ? "error" : "ack" };
      case "hesitant":
        return { says: random.integer(4) === 0 ? "error" : "ack" };
      case "slow":
        return { says: "ack", afterMs: random.pick([3_000, 14_000, 30_000]) };
      case "moody":
        return answerOf(random.pick(["healthy", "sick", "picky", "silent", "closing", "slow"]), offset);
      case "healthy":
      case "refused":
        return { says: "ack" };
    }
  }

  return (sent) => {
    arrived();
    if (!isTaking) return;
    const answer = answerOf(moodOf(origin), sent.offset);
    isTaking = typeof answer === "object" && answer.says === "ack";
    if (isTaking) deliveries.taken(sent);
    if (answer === "cuts") cut();
    if (typeof answer !== "object") return;
    const { says, afterMs = 0 } = answer;
    say(
      JSON.stringify({ type: says, offset: sent.offset, ...(says === "error" ? { message: "not now" } : {}) }),
      afterMs,
    );
  };
}

/** One direction: only what is first in it is a packet that may arrive. */
function createLane({ now, send }: SocketNeeds, server: Server, isAnswer: boolean, lost: () => void) {
  let queue: { what: string; notBefore: number; arrive(): void }[] = [];
  let isCut = false;

  function sendFirst(): void {
    const [first] = queue;
    if (first === undefined) return;
    const { what, notBefore } = first;
    send({
      server,
      what,
      notBefore,
      isAnswer,
      arrive() {
        if (isCut) return;
        queue.shift();
        first.arrive();
        sendFirst();
      },
      lose: lost,
    });
  }

  return {
    carry(what: string, afterMs: number, arrive: () => void): void {
      queue.push({ what, notBefore: now() + afterMs, arrive });
      if (queue.length === 1) sendFirst();
    },
    cut(): void {
      isCut = true;
      queue = [];
    },
  };
}
