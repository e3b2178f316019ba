/** Receivers on loopback: well-behaved ones over Node's HTTP server, and sockets that do whatever a test says. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import {
  type AddressInfo,
  createServer as createSocketServer,
  type Socket,
  type Server as SocketServer,
} from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type {
  AcceptingPeer,
  ListeningReceiver,
  PeerTalk,
  ReceivedRequest,
  ReceivedUpgrade,
  Receiver,
  SocketPeer,
} from "@millrace/testing";
import { type WebSocket, WebSocketServer } from "ws";

export interface Receivers {
  listen(receiver: Receiver): Promise<ListeningReceiver & { connections(): number }>;
  /** Accepts WebSockets. */
  accept(peer: SocketPeer): Promise<AcceptingPeer>;
  /** Every connection is handed over as it is. */
  listenRaw(talk: (socket: Socket) => void): Promise<{ url: string; port: number; connections(): number }>;
  /** A URL where nobody listens, as far as can be known. */
  nowhere(): Promise<string>;
  dispose(): Promise<void>;
}

export function createReceivers(): Receivers {
  const servers: (Server | SocketServer)[] = [];
  const sockets = new Set<Socket>();

  async function open(server: Server | SocketServer): Promise<{ port: number; connections(): number }> {
    let count = 0;
    servers.push(server);
    server.on("connection", (socket: Socket) => {
      count++;
      sockets.add(socket);
      // Whoever is cut off hears of it; that is no failure of the test.
      socket.on("error", () => undefined);
      socket.once("close", () => sockets.delete(socket));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return { port: (server.address() as AddressInfo).port, connections: () => count };
  }

  async function listen(receiver: Receiver) {
    const received: ReceivedRequest[] = [];
    const server = createServer(async (incoming, outgoing) => {
      const request = await receive(incoming, `http://127.0.0.1:${port}`);
      received.push(request);
      await respond(outgoing, receiver, request);
    });
    const { port, connections } = await open(server);
    return { url: `http://127.0.0.1:${port}/hook`, received, connections };
  }

  async function accept(peer: SocketPeer): Promise<AcceptingPeer> {
    const requests: ReceivedUpgrade[] = [];
    const upgrades = new WebSocketServer({ noServer: true });
    const server = createServer();
    server.on("upgrade", (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
      const request = {
        url: `http://127.0.0.1:${port}${incoming.url}`,
        headers: incoming.headers as Record<string, string>,
      };
      requests.push(request);
      const answer = peer(request);
      if (answer === "never") return;
      if (answer === "closes") return void socket.destroy();
      if ("status" in answer) return void socket.end(`HTTP/1.1 ${answer.status} No\r\nContent-Length: 0\r\n\r\n`);
      upgrades.handleUpgrade(incoming, socket, head, (accepted) => converse(accepted, answer));
    });
    const { port } = await open(server);
    return { url: `http://127.0.0.1:${port}/socket`, requests };
  }

  return {
    listen,
    accept,
    async listenRaw(talk) {
      const { port, connections } = await open(createSocketServer(talk));
      return { url: `http://127.0.0.1:${port}/`, port, connections };
    },
    async nowhere() {
      const server = createSocketServer();
      const { port } = await open(server);
      server.close();
      await once(server, "close");
      return `http://127.0.0.1:${port}/`;
    },
    async dispose() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

function converse(socket: WebSocket, talk: PeerTalk): void {
  const peer = {
    send: (text: string) => socket.send(text),
    close: (code: number, reason: string) => socket.close(code, reason),
    cut: () => socket.terminate(),
  };
  socket.on("message", (data) => talk.hear?.(String(data), peer));
  socket.on("close", (code, reason) => talk.ended?.(code, reason.toString()));
  // Whoever is cut off hears of it; that is no failure of the test.
  socket.on("error", () => undefined);
  talk.opened?.(peer);
}

async function receive(incoming: IncomingMessage, origin: string): Promise<ReceivedRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return {
    url: `${origin}${incoming.url}`,
    headers: incoming.headers as Record<string, string>,
    body: Buffer.concat(chunks).toString(),
    at: Date.now(),
  };
}

async function respond(outgoing: ServerResponse, receiver: Receiver, request: ReceivedRequest): Promise<void> {
  const answer = await receiver(request);
  if (answer === "never") return;
  if (answer === "closes") return void outgoing.destroy();
  if (answer.afterMs !== undefined) await delay(answer.afterMs);
  outgoing.writeHead(answer.status, answer.headers).end(answer.body);
}
