/**
 * The only way out of a sandbox: an HTTP server on a unix socket, for one process and one project. For each request it
 * judges where it leads, fills in secrets, and streams both ways; what it refuses it answers itself, and tells.
 * Redirects are followed on the other side of the socket, so each hop comes here again and is judged anew.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { OutboundStreams } from "@millrace/engine";
import { createGateServer } from "./gate-server.ts";
import type { EgressCause } from "./own-server.ts";
import { type PermitNeeds, permittedHeaders } from "./permit.ts";
import { EgressRefusal, type OwnAnswer } from "./refusal.ts";
import { createRefusals, type Refuse } from "./refusals.ts";
import { relayExchange, relayUpgrade, writeWhole } from "./relay.ts";
import { type RequestHead, readHead } from "./request-head.ts";

export interface EgressGateOptions extends PermitNeeds {
  /** A socket that lies there already is replaced. */
  socketPath: string;
  /** Of the socket's file; 0600 without it. */
  socketMode?: number;
  outbound: OutboundStreams;
  attribution: EgressAttribution;
  limits?: Partial<EgressLimits>;
  /** Hears of what should not happen. */
  onFault?(error: unknown): void;
}

/**
 * For which event a call was made, as the code says; the isolate is the one that made it. So a call is looked for among
 * those of that isolate alone, or code could speak in the name of other code.
 */
export interface EgressAttribution {
  /** Undefined where no such call runs. */
  cause(call: string, isolate: string | undefined): EgressCause | undefined;
  /** Once for each call of the last thousand; undefined where the request named none. */
  refused(call: string | undefined, message: string, isolate: string | undefined): void;
}

export interface EgressLimits {
  /** Requests and WebSockets under way; one more is refused. Each costs two sockets. */
  requestsMax: number;
  /** Of a request: its first line and all headers. */
  headerBytesMax: number;
  /** To reach the other side. */
  connectMs: number;
  /** From then until the head of its answer; a model may think for minutes. What follows has no limit. */
  answerMs: number;
}

export interface EgressGate {
  readonly socketPath: string;
  /** Requests and WebSockets that are open. */
  readonly underWay: number;
  /** Cuts what is open, and removes the socket. */
  close(): Promise<void>;
}

const defaultLimits: EgressLimits = {
  requestsMax: 512,
  headerBytesMax: 64 * 1024,
  connectMs: 30_000,
  // As long as a hook may take.
  answerMs: 15 * 60_000,
};
/** Connections beyond the requests that may be under way, so that one more can be told so. */
const spareConnections = 64;

/** Rejects when the socket cannot be made. */
export async function createEgressGate(options: EgressGateOptions): Promise<EgressGate> {
  const { socketPath, socketMode = 0o600, outbound, attribution, onFault = () => {} } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const { connectMs, answerMs, headerBytesMax, requestsMax } = limits;
  const refuse = createRefusals({ refused: attribution.refused, onFault });
  const turns = createTurns(requestsMax, refuse);
  const permit = async (head: RequestHead) => {
    const headers = await permittedHeaders(head, options);
    return { url: head.url.href, owner: options.project, headers, connectMs, answerMs };
  };

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    outgoing.sendDate = false;
    const own = await turns.take(incoming, async (head) => {
      await relayExchange(incoming, outgoing, await permit(head), outbound);
    });
    if (own === undefined || outgoing.destroyed) return;
    outgoing.writeHead(own.status, [...own.headers, ["content-length", String(own.body.length)]].flat()).end(own.body);
  }

  async function upgrade(incoming: IncomingMessage, socket: Duplex, rest: Buffer): Promise<void> {
    socket.on("error", () => {});
    if (rest.length > 0) socket.unshift(rest);
    const own = await turns.take(incoming, async (head) => {
      if (incoming.headers.upgrade?.toLowerCase() !== "websocket" || incoming.method !== "GET") {
        throw new EgressRefusal("request", "The only protocol that a request may change to is websocket, with GET.");
      }
      await relayUpgrade(socket, await permit(head), outbound);
    });
    if (own !== undefined) writeWhole(socket, own);
  }

  const gate = createGateServer({ headerBytesMax, connectionsMax: requestsMax + spareConnections });
  gate.server.on("request", (incoming, outgoing) => void answer(incoming, outgoing).catch(onFault));
  gate.server.on("upgrade", (incoming, socket, rest) => void upgrade(incoming, socket, rest).catch(onFault));
  gate.server.on("connect", (incoming, socket) => {
    socket.on("error", () => {});
    writeWhole(socket, refuse(incoming, new EgressRefusal("request", "Only HTTP and WebSockets leave a sandbox.")));
  });
  await gate.listen(socketPath, socketMode);

  return {
    socketPath,
    get underWay() {
      return turns.underWay;
    },
    close: gate.close,
  };
}

/** So many at the same time, and no more: who waited could wait for those that wait for it. */
function createTurns(requestsMax: number, refuse: Refuse) {
  let underWay = 0;
  return {
    get underWay() {
      return underWay;
    },

    /** @returns the answer that the gate gives itself */
    async take(incoming: IncomingMessage, relay: (head: RequestHead) => Promise<void>): Promise<OwnAnswer | undefined> {
      if (underWay >= requestsMax) {
        const message = `${requestsMax} requests of this project are under way; no more may.`;
        return refuse(incoming, new EgressRefusal("busy", message));
      }
      underWay++;
      try {
        await relay(readHead(incoming));
        return undefined;
      } catch (error) {
        return refuse(incoming, error);
      } finally {
        underWay--;
      }
    },
  };
}
