/**
 * Two servers behind one door: the handler in process over the memory log, and a whole server with SQLite behind TCP.
 * Every behaviour test of this folder runs over both, so nothing can be true of one of them only.
 */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { type ConsumerKind, createEngine, createMemoryDirectory } from "@millrace/engine";
import { type AccessOptions, createHandler, type RequestNote } from "@millrace/http";
import type { Limits } from "@millrace/protocol";
import {
  createDocumentationAssets,
  createExpressions,
  createMemorySecrets,
  createOutbound,
  serve,
  systemClock,
  systemRandom,
} from "millrace";
import { afterAll, beforeAll, describe } from "vitest";
import { temporaryDirectory } from "../processes/server-process.ts";

export interface Sending {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  signal?: AbortSignal;
}

export interface TestServer {
  /** @param target path and query, sent as they stand here */
  send(target: string, sending?: Sending): Promise<Response>;
  /** What the server reported as faults of its own. */
  faults: unknown[];
  /** The requests that were refused, as the log would name them. */
  refusals: RequestNote[];
  close(): Promise<void>;
}

export interface ServerOptions {
  access?: AccessOptions;
  limits?: Partial<Limits>;
  consumers?: readonly ConsumerKind[];
}

export interface Fixture {
  name: string;
  /** Whether the target reaches the server as it was written: a `Request` resolves `..` by itself. */
  sendsTargetsAsTheyAre: boolean;
  start(options?: ServerOptions): Promise<TestServer>;
}

const inProcess: Fixture = {
  name: "in process",
  sendsTargetsAsTheyAre: false,
  async start({ access = {}, limits = {}, consumers = [] } = {}) {
    const faults: unknown[] = [];
    const onFault = (error: unknown) => void faults.push(error);
    const secrets = createMemorySecrets({ limits });
    const outside = {
      expressions: createExpressions({ timeoutMs: 100, onFault }),
      outbound: createOutbound(),
      secrets,
    };
    const ports = { directory: createMemoryDirectory(), clock: systemClock, random: systemRandom, ...outside };
    const engine = createEngine({ ...ports, onFailure: onFault, limits, consumers });
    const refusals: RequestNote[] = [];
    const onRefusal = (_: unknown, request: RequestNote) => void refusals.push(request);
    const handler = createHandler({ engine, access, secrets, onFault, onRefusal, assets: createDocumentationAssets() });
    return {
      faults,
      refusals,
      send: (target, sending = {}) => handler.fetch(new Request(`http://localhost${target}`, requestInit(sending))),
      async close() {
        await engine.close();
        await Promise.all([outside.expressions.close(), outside.outbound.close()]);
      },
    };
  },
};

const overTcp: Fixture = {
  name: "over TCP",
  sendsTargetsAsTheyAre: true,
  async start({ access = {}, limits = {}, consumers = [] } = {}) {
    const faults: unknown[] = [];
    const onFault = (error: unknown) => void faults.push(error);
    const { directory: data, remove } = temporaryDirectory();
    const refusals: RequestNote[] = [];
    const onRefusal = (_: unknown, request: RequestNote) => void refusals.push(request);
    const reports = { onFault, onRefusal, onFatal: onFault };
    const serving = serve({ port: 0, host: "127.0.0.1", data, access, limits, consumers, ...reports });
    serving.catch(remove);
    const server = await serving;
    return {
      faults,
      refusals,
      send: (target, sending = {}) => sendOverTcp(server.url, target, sending),
      async close() {
        await server.close();
        remove();
      },
    };
  },
};

export const fixtures: readonly Fixture[] = [inProcess, overTcp];

/** The tests once for each fixture, each with a server of its own; `server()` is it. */
export function describeEach(
  title: string,
  define: (server: () => TestServer, fixture: Fixture) => void,
  options: ServerOptions = {},
): void {
  describe.each(fixtures)(`${title}, $name`, (fixture) => {
    let server: TestServer | undefined;
    beforeAll(async () => {
      server = await fixture.start(options);
    });
    afterAll(() => server?.close());
    define(() => server as TestServer, fixture);
  });
}

function requestInit({ method = "GET", headers = {}, body, signal }: Sending): RequestInit {
  return {
    method,
    headers,
    // Bytes, because a string would bring a content type of its own.
    ...(body === undefined ? {} : { body: bytesOf(body) as BodyInit }),
    ...(signal === undefined ? {} : { signal }),
  };
}

function sendOverTcp(url: string, target: string, sending: Sending): Promise<Response> {
  const { hostname, port } = new URL(url);
  const { method = "GET", headers = {}, body, signal } = sending;
  const options = { hostname, port, path: target, method, headers: { host: "localhost", ...headers }, agent: false };
  return new Promise((resolve, reject) => {
    const request = httpRequest({ ...options, ...(signal === undefined ? {} : { signal }) }, (incoming) => {
      resolve(toResponse(incoming, method));
    });
    request.on("error", reject);
    request.end(body === undefined ? undefined : bytesOf(body));
  });
}

function toResponse(incoming: IncomingMessage, method: string): Response {
  const status = incoming.statusCode as number;
  const headers = Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)]);
  // A reader that leaves breaks its own connection; that is no news to anybody.
  incoming.on("error", () => {});
  if (method === "HEAD" || status === 204) {
    incoming.resume();
    return new Response(null, { status, headers });
  }
  return new Response(Readable.toWeb(incoming) as BodyInit, { status, headers });
}

function bytesOf(body: string | Uint8Array): Uint8Array {
  return typeof body === "string" ? new TextEncoder().encode(body) : body;
}
