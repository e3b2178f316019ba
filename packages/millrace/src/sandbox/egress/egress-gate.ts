/**
 * The only way out of a sandbox: an HTTP server on a unix socket, for one process and one project. For each request it
 * judges where it leads, fills in secrets, and streams both ways; what it refuses it answers itself, and tells.
 * Redirects are followed on the other side of the socket, so each hop comes here again and is judged anew.
 */
import { once } from "node:events";
import { chmodSync, lstatSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { OutboundStreams, Secrets, UpgradeRequest } from "@millrace/engine";
import type { EgressRule } from "./egress-rules.ts";
import { type EgressCause, withCause } from "./own-server.ts";
import { fillFixedHeader, fillHeaders } from "./placeholders.ts";
import { answerOf, EgressRefusal, type OwnAnswer, toRefusal } from "./refusal.ts";
import { relayExchange, relayUpgrade, writeWhole } from "./relay.ts";
import { callerOf, type RequestHead, readHead } from "./request-head.ts";

export interface EgressGateOptions {
  project: string;
  /** A socket that lies there already is replaced. */
  socketPath: string;
  /** Of the socket's file; 0600 without it. */
  socketMode?: number;
  outbound: OutboundStreams;
  secrets: Pick<Secrets, "reveal" | "list">;
  allowed: EgressRule;
  attribution: EgressAttribution;
  /** The header that the configuration of an isolate's code gives all its requests. */
  fixedHeader?(isolate: string): readonly [name: string, value: string] | undefined;
  /** Under which this server is reached, such as https://streams.example.org. */
  ownOrigins?: readonly string[];
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
  /** At most once for each call; undefined where the request named none. */
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
/** Calls of which it is known that their refusal was told. */
const toldCallsMax = 1_000;

/** Rejects when the socket cannot be made. */
export async function createEgressGate(options: EgressGateOptions): Promise<EgressGate> {
  const { socketPath, socketMode = 0o600, outbound } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const teller = createTeller(options.attribution);
  const sockets = new Set<Socket>();
  let underWay = 0;

  /** @returns the answer that the gate gives itself */
  async function inTurn(incoming: IncomingMessage, relay: (head: RequestHead) => Promise<void>) {
    if (underWay >= limits.requestsMax) return refuse(incoming, busy(limits.requestsMax));
    underWay++;
    try {
      await relay(readHead(incoming));
      return undefined;
    } catch (error) {
      return refuse(incoming, error);
    } finally {
      underWay--;
    }
  }

  function refuse(incoming: IncomingMessage, error: unknown): OwnAnswer {
    const refusal = known(error, options.onFault);
    if (refusal.isRefusal) teller.tell(callerOf(incoming), `${addressOf(incoming)}: ${refusal.message}`);
    return answerOf(refusal);
  }

  async function permit(head: RequestHead): Promise<Omit<UpgradeRequest, "signal">> {
    const { connectMs, answerMs } = limits;
    return { url: head.url.href, headers: await permittedHeaders(head, options), connectMs, answerMs };
  }

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    outgoing.sendDate = false;
    const own = await inTurn(incoming, async (head) => relayExchange(incoming, outgoing, await permit(head), outbound));
    if (own === undefined || outgoing.destroyed) return;
    if (outgoing.headersSent) return void outgoing.destroy();
    outgoing.writeHead(own.status, [...own.headers, ["content-length", String(own.body.length)]].flat()).end(own.body);
  }

  async function upgrade(incoming: IncomingMessage, socket: Duplex, rest: Buffer): Promise<void> {
    socket.on("error", () => {});
    if (rest.length > 0) socket.unshift(rest);
    const own = await inTurn(incoming, async (head) => {
      if (incoming.headers.upgrade?.toLowerCase() !== "websocket") {
        throw new EgressRefusal("request", "The only protocol that a request may change to is websocket.");
      }
      await relayUpgrade(socket, await permit(head), outbound);
    });
    if (own !== undefined) writeWhole(socket, own);
  }

  const server = createServer({
    requireHostHeader: false,
    maxHeaderSize: limits.headerBytesMax,
    // An upload takes as long as it takes.
    requestTimeout: 0,
  });
  server.maxConnections = limits.requestsMax + spareConnections;
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("request", (incoming, outgoing) => void answer(incoming, outgoing));
  server.on("upgrade", (incoming, socket, rest) => void upgrade(incoming, socket, rest));
  server.on("connect", (incoming, socket) => {
    socket.on("error", () => {});
    writeWhole(socket, refuse(incoming, new EgressRefusal("request", "Only HTTP and WebSockets leave a sandbox.")));
  });
  removeSocket(socketPath);
  server.listen(socketPath);
  await once(server, "listening");
  chmodSync(socketPath, socketMode);

  return {
    socketPath,
    get underWay() {
      return underWay;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** @throws EgressRefusal, SecretError */
async function permittedHeaders(head: RequestHead, options: EgressGateOptions) {
  const { project, secrets, allowed, attribution, ownOrigins = [] } = options;
  const why = allowed(head.url);
  if (why !== undefined) throw new EgressRefusal("host", `${why}.`);
  const needs = { project, secrets, url: head.url.href };
  const fixed = head.isolate === undefined ? undefined : options.fixedHeader?.(head.isolate);
  const own = head.headers.filter(([name]) => name.toLowerCase() !== fixed?.[0].toLowerCase());
  const filled = await fillHeaders(own, needs);
  const all = fixed === undefined ? filled : [...filled, ...(await fillFixedHeader(fixed, needs))];
  if (!ownOrigins.includes(head.url.origin)) return all;
  return withCause(all, head.call === undefined ? undefined : attribution.cause(head.call, head.isolate));
}

function busy(requestsMax: number): EgressRefusal {
  return new EgressRefusal("busy", `${requestsMax} requests of this project are under way; no more may.`);
}

function known(error: unknown, onFault: EgressGateOptions["onFault"]): EgressRefusal {
  try {
    return toRefusal(error);
  } catch {
    onFault?.(error);
    return new EgressRefusal("unreachable", "The request could not be sent.");
  }
}

/** A URL may hold what nobody should read. */
function addressOf({ method, url = "" }: IncomingMessage): string {
  const where = /^https?:/i.test(url) && URL.canParse(url) ? new URL(url).origin : "what it named";
  return `A request of the code, ${method} to ${where}, was refused`;
}

function createTeller({ refused }: EgressAttribution) {
  const told = new Set<string>();
  return {
    tell({ call, isolate }: ReturnType<typeof callerOf>, message: string): void {
      const caller = `${isolate} ${call}`;
      if (call !== undefined && told.has(caller)) return;
      if (call !== undefined) told.add(caller);
      for (const oldest of told) {
        if (told.size <= toldCallsMax) break;
        told.delete(oldest);
      }
      refused(call, message, isolate);
    },
  };
}

/** What a process that was killed left behind; anything else stays, and is in the way. */
function removeSocket(socketPath: string): void {
  if (lstatSync(socketPath, { throwIfNoEntry: false })?.isSocket()) rmSync(socketPath);
}
