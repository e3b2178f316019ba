/**
 * The port OutboundStreams over undici: each request over a connection that nobody else uses, which is given back when
 * the answer was read to its end, and is cut in every other case.
 */
import { setMaxListeners } from "node:events";
import { type Duplex, finished } from "node:stream";
import { OutboundError, type OutboundStreams, type StreamAnswer, type UpgradeRequest } from "@millrace/engine";
import type { Connection } from "./connection.ts";
import type { Connections } from "./connections.ts";
import { type DestinationRule, toDestination } from "./destination.ts";
import { toOutboundError } from "./failure.ts";
import { toStreamHeaders } from "./request-headers.ts";
import { type Conversation, converse } from "./stream-exchange.ts";
import { toWebStreams } from "./web-streams.ts";

export interface Streams extends OutboundStreams {
  /** Cuts what is under way. */
  close(): Promise<void>;
}

export function createStreams(rule: DestinationRule, connections: Connections): Streams {
  const underWay = new Set<AbortController>();
  let closed = false;

  /** From the call to the end of whatever was answered. */
  async function start<Answer>(
    request: UpgradeRequest,
    talk: (connection: Connection, conversation: Conversation) => Promise<Answer>,
  ): Promise<Answer> {
    const destination = toDestination(request.url, rule);
    const headers = toStreamHeaders(request.headers);
    if (closed) throw new OutboundError("aborted", "Requests are no longer sent: the way out is closed.");
    const life = startLife(request, destination);
    underWay.add(life.cut);
    const end = () => {
      underWay.delete(life.cut);
      life.stop();
    };
    let connection: Connection | undefined;
    try {
      connection = await connections.acquire(destination, life.cut.signal, request.owner);
      const { signal } = life.cut;
      const leave = (reusable: boolean) => {
        end();
        connections.release(connection as Connection, reusable);
      };
      return await talk(connection, { destination, headers, signal, onStage: life.onStage, leave });
    } catch (error) {
      // Whoever has a connection gives it back himself.
      if (connection === undefined) end();
      throw toOutboundError(error, destination);
    }
  }

  return {
    exchange(request) {
      const { method, body } = request;
      return start(request, async ({ client }, conversation) => {
        const asked = { ...conversation, method, ...(body === undefined ? {} : { body }) };
        // Whoever changes the protocol without being asked to is cut off before.
        return (await converse(client, asked)) as StreamAnswer;
      });
    },

    upgrade(request) {
      return start(request, async ({ client }, conversation) => {
        const answer = await converse(client, { ...conversation, method: "GET", upgrade: "websocket" });
        if (!("socket" in answer)) return { is: "answered", ...answer };
        return { is: "open", headers: answer.headers, ...openTo(answer.socket, conversation) };
      });
    },

    async close() {
      closed = true;
      const reason = new OutboundError("aborted", "The way out was closed.");
      for (const cut of [...underWay]) cut.abort(reason);
      await connections.close();
    },
  };
}

function openTo(socket: Duplex, { signal, leave }: Conversation) {
  const cut = () => socket.destroy();
  if (signal.aborted) cut();
  else signal.addEventListener("abort", cut, { once: true });
  finished(socket, () => {
    signal.removeEventListener("abort", cut);
    leave(false);
  });
  return toWebStreams(socket);
}

interface Life {
  /** Aborted with the OutboundError that the sender gets. */
  cut: AbortController;
  onStage(stage: "sent" | "answered"): void;
  stop(): void;
}

function startLife({ connectMs, answerMs, signal }: UpgradeRequest, { origin }: URL): Life {
  const cut = new AbortController();
  let timer = within(connectMs, "connection");
  const abort = () => cut.abort(new OutboundError("aborted", `${origin}: the request was aborted.`));
  // One signal may stand for many requests; Node would warn of a leak.
  setMaxListeners(0, signal);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });

  function within(milliseconds: number, missing: string) {
    return setTimeout(() => {
      cut.abort(new OutboundError("timeout", `${origin}: no ${missing} within ${milliseconds} ms.`));
    }, milliseconds);
  }

  return {
    cut,
    onStage(stage) {
      clearTimeout(timer);
      if (stage === "sent") timer = within(answerMs, "answer");
    },
    stop() {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    },
  };
}
