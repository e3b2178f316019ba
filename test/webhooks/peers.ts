/** Peers of WebSocket subscriptions on loopback: servers that accept, and do with the frames whatever a test says. */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { StreamEvent } from "@millrace/protocol";
import { type WebSocket, WebSocketServer } from "ws";

/** A frame of either side, as it was parsed. */
export interface Frame {
  type: string;
  id?: string;
  offset?: number;
  after?: number;
  code?: string;
  message?: string;
  event?: StreamEvent;
}

export interface Peer {
  url: string;
  /** Of all connections, in order. */
  frames: Frame[];
  requests: IncomingMessage[];
  /** How each connection ended. */
  ends: { code: number; reason: string }[];
  sockets(): ReadonlySet<WebSocket>;
}

export interface Peers {
  /** @param talk is given each frame that comes, and before the first one nothing */
  listen(talk: (socket: WebSocket, frame: Frame | undefined) => void): Promise<Peer>;
  dispose(): Promise<void>;
}

export const acknowledge = (socket: WebSocket, frame: Frame | undefined): void => {
  if (frame?.type === "event") say(socket, { type: "ack", offset: frame.offset });
};

export function say(socket: WebSocket, frame: object): void {
  socket.send(JSON.stringify(frame));
}

export function createPeers(): Peers {
  const servers: WebSocketServer[] = [];
  return {
    async listen(talk) {
      const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
      servers.push(server);
      const peer: Omit<Peer, "url"> = { frames: [], requests: [], ends: [], sockets: () => server.clients };
      server.on("connection", (socket, request) => {
        peer.requests.push(request);
        socket.on("close", (code, reason) => peer.ends.push({ code, reason: reason.toString() }));
        // Whoever is cut off hears of it; that is no failure of the test.
        socket.on("error", () => undefined);
        socket.on("message", (data) => {
          const frame = JSON.parse(String(data)) as Frame;
          peer.frames.push(frame);
          talk(socket, frame);
        });
        talk(socket, undefined);
      });
      await once(server, "listening");
      return { ...peer, url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/socket` };
    },
    async dispose() {
      for (const server of servers) {
        for (const socket of server.clients) socket.terminate();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}
