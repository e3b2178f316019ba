/** The HTTP server of a gate, on a unix socket: no host is asked for, and nothing takes too long by itself. */
import { once } from "node:events";
import { chmodSync, lstatSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { Socket } from "node:net";

/** Longer than workerd keeps a connection that lies idle: whoever closes first must not meet a request on its way. */
const keepAliveMs = 60_000;

export interface GateServer {
  server: Server;
  listen(socketPath: string, mode: number): Promise<void>;
  /** Cuts what is open, and removes the socket. */
  close(): Promise<void>;
}

export function createGateServer(limits: { headerBytesMax: number; connectionsMax: number }): GateServer {
  const sockets = new Set<Socket>();
  const server = createServer({
    requireHostHeader: false,
    maxHeaderSize: limits.headerBytesMax,
    keepAliveTimeout: keepAliveMs,
    // An upload takes as long as it takes.
    requestTimeout: 0,
  });
  server.maxConnections = limits.connectionsMax;
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return {
    server,
    async listen(socketPath, mode) {
      removeSocket(socketPath);
      server.listen(socketPath);
      await once(server, "listening");
      chmodSync(socketPath, mode);
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** What a process that was killed left behind; anything else stays, and is in the way. */
function removeSocket(socketPath: string): void {
  if (lstatSync(socketPath, { throwIfNoEntry: false })?.isSocket()) rmSync(socketPath);
}
