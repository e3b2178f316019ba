import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createSocketServer, type Socket } from "node:net";
import { PassThrough, Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import {
  describeOutboundStreams,
  type OpenStreams,
  type OutboundStreamsFixture,
  type StreamReceived,
  type StreamReceiver,
  type StreamReceiverAnswer,
} from "@millrace/testing";
import { createOutbound } from "millrace";
import { describe, expect, test } from "vitest";

async function createFixture(): Promise<OutboundStreamsFixture> {
  const outbound = createOutbound({ allowPrivateDestinations: true });
  const ends: (() => void)[] = [];

  async function serve(receiver: StreamReceiver): Promise<string> {
    const server = createServer(async (incoming, outgoing) => {
      respond(outgoing, await receiver(received(incoming, url)));
    });
    server.on("upgrade", async (incoming, socket) => {
      socket.on("error", () => {});
      accept(incoming, socket as Socket, await receiver(received(incoming, url)));
    });
    const sockets = new Set<Socket>();
    server.on("connection", (socket: Socket) => sockets.add(socket.on("error", () => {})));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/place`;
    ends.push(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return url;
  }

  return {
    outbound,
    serve,
    nowhere: await nowhere(),
    until: (promise) => promise,
    async dispose() {
      await outbound.close();
      for (const end of ends) end();
    },
  };
}

function received(incoming: IncomingMessage, base: string): StreamReceived {
  const { rawHeaders: raw } = incoming;
  const headers = raw.flatMap((name, i): [string, string][] =>
    i % 2 === 0 ? [[name.toLowerCase(), raw[i + 1] as string]] : [],
  );
  const body = Readable.toWeb(incoming) as ReadableStream<Uint8Array>;
  return { method: incoming.method ?? "", url: new URL(incoming.url ?? "", base).href, headers, body };
}

function respond(outgoing: ServerResponse, answer: StreamReceiverAnswer): void {
  if (answer === "never") return;
  if (answer === "closes" || "open" in answer) return void outgoing.destroy();
  const { status, headers = [], body } = answer;
  outgoing.writeHead(status, headers.flat());
  if (body === undefined) return void outgoing.end();
  outgoing.write(Buffer.alloc(0));
  pipeline(Readable.fromWeb(body as NodeReadableStream), outgoing).catch(() => outgoing.destroy());
}

function accept(incoming: IncomingMessage, socket: Socket, answer: StreamReceiverAnswer): void {
  if (answer === "never") return;
  if (answer === "closes") return void socket.destroy();
  const lines = (answer.headers ?? []).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  if (!("open" in answer)) {
    socket.write(`HTTP/1.1 ${answer.status} No\r\nconnection: close\r\n${lines}\r\n`);
    pipeline(Readable.fromWeb(answer.body as NodeReadableStream), socket).catch(() => socket.destroy());
    return;
  }
  expect(incoming.headers.upgrade).toBe("websocket");
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n${lines}\r\n`);
  answer.open(openOn(socket));
}

/** Each direction by itself: of a whole socket Node says that it is at its end only when both are. */
function openOn(socket: Socket): OpenStreams {
  const [heard, said] = [new PassThrough(), new PassThrough()];
  pipeline(socket, heard, { end: true }).catch(() => {});
  pipeline(said, socket).catch(() => {});
  return { readable: Readable.toWeb(heard), writable: Writable.toWeb(said) } as OpenStreams;
}

async function nowhere(): Promise<string> {
  const server = createSocketServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return `http://127.0.0.1:${port}/`;
}

describe("streams over undici", () => {
  const cases = describeOutboundStreams(createFixture);

  test.each(cases)("$name", ({ run }) => run());

  test("no case was left out", () => {
    expect(cases.length).toBe(15);
  });
});
