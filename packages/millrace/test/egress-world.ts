/** A gate, who asks through it as workerd does, and who is asked. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { defaultLimits } from "@millrace/protocol";
import {
  createEgressGate,
  createEgressRules,
  createMemorySecrets,
  createOutbound,
  type EgressGate,
  type EgressGateOptions,
  type KeptSecrets,
  type OutboundOptions,
} from "millrace";

export interface Answer {
  status: number;
  headers: IncomingMessage["headers"];
  body: string;
}

export interface Asking {
  method?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Buffer;
}

export interface EgressWorld {
  gate: EgressGate;
  secrets: KeptSecrets;
  /** What was told, by call. */
  refusals: { call: string | undefined; message: string }[];
  /** A server on loopback: its origin. */
  serve(handle: (incoming: IncomingMessage, outgoing: ServerResponse) => void): Promise<string>;
  /** The whole of an answer. */
  ask(url: string, asking?: Asking): Promise<Answer>;
  /** The request, to be written and read piece by piece. */
  start(url: string, asking?: Asking): ReturnType<typeof request>;
  /** A connection to the gate. */
  connect(): Promise<Socket>;
  close(): Promise<void>;
}

export interface WorldOptions extends Partial<Omit<EgressGateOptions, "outbound">> {
  outbound?: OutboundOptions;
}

export async function createEgressWorld(options: WorldOptions = {}): Promise<EgressWorld> {
  const directory = mkdtempSync(path.join(tmpdir(), "millrace-egress-"));
  const outbound = createOutbound({ allowPrivateDestinations: true, ...options.outbound });
  const secrets = createMemorySecrets({ limits: defaultLimits });
  const refusals: EgressWorld["refusals"] = [];
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  const socketPath = path.join(directory, "egress.sock");
  const gate = await createEgressGate({
    project: "demo",
    socketPath,
    secrets,
    allowed: createEgressRules()("demo"),
    attribution: { cause: () => undefined, refused: (call, message) => void refusals.push({ call, message }) },
    onFault: (error) => {
      throw error;
    },
    ...options,
    outbound,
  });

  function start(url: string, { method = "GET", headers = {} }: Asking = {}) {
    return request({ socketPath, path: url, method, headers, setHost: false, agent: false });
  }

  return {
    gate,
    secrets,
    refusals,
    start,
    async serve(handle) {
      const server = createServer({ maxHeaderSize: 128 * 1024 }, handle);
      servers.push(server);
      server.on("connection", (socket: Socket) => {
        sockets.add(socket);
        socket.on("error", () => {});
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    },
    async ask(url, asking = {}) {
      const sending = start(url, asking);
      sending.end(asking.body);
      const [incoming] = (await once(sending, "response")) as [IncomingMessage];
      return { status: incoming.statusCode ?? 0, headers: incoming.headers, body: await textOf(incoming) };
    },
    async connect() {
      const socket = connect(socketPath);
      await once(socket, "connect");
      return socket;
    },
    async close() {
      await gate.close();
      await outbound.close();
      for (const socket of sockets) socket.destroy();
      for (const server of servers) server.close();
      rmSync(directory, { recursive: true });
    },
  };
}

export async function textOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
