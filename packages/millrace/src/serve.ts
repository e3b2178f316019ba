/** A whole server: picks the log, the clock, chance and the HTTP host, and nothing else does. */
import type { AddressInfo, Socket } from "node:net";
import {
  type ConsumerKind,
  createEngine,
  createMemoryDirectory,
  type Directory,
  type Engine,
  type Said,
} from "@millrace/engine";
import { type AccessOptions, createHandler, type RequestNote } from "@millrace/http";
import { defaultLimits, type Limits, type StreamError } from "@millrace/protocol";
import { type BundlerOptions, createBundler } from "./bundler/bundler.ts";
import { type DataLock, lockData } from "./data-lock.ts";
import { createDocumentationAssets } from "./documentation-assets.ts";
import { createExpressions } from "./expressions/expressions.ts";
import { createNodeServer } from "./node-server.ts";
import { createOutbound } from "./outbound/outbound.ts";
import { createProcessMetrics } from "./process-metrics.ts";
import type { EgressOptions } from "./sandbox/egress/egress-rules.ts";
import { ownOrigins } from "./sandbox/egress/own-origins.ts";
import { createSandbox, type SandboxSettings } from "./sandbox/sandbox.ts";
import type { WorkerdSandbox } from "./sandbox/workerd-sandbox.ts";
import { createFileSecrets } from "./secrets/file-secrets.ts";
import type { KeptSecrets } from "./secrets/kept-secrets.ts";
import { createMemorySecrets } from "./secrets/memory-secrets.ts";
import { createSqliteDirectory } from "./sqlite/sqlite-directory.ts";
import { systemClock, systemRandom } from "./system.ts";
import { registeredTracer, traceDirectory, traceHandler } from "./tracing.ts";

export interface ServeOptions extends BundlerOptions {
  /** 0 picks a free one. */
  port: number;
  host: string;
  /** A directory, or ":memory:" for a log that ends with the process. */
  data: string;
  access?: AccessOptions;
  limits?: Partial<Limits>;
  /** Lets webhooks lead to this machine and to private networks: for development and tests. */
  allowPrivateDestinations?: boolean;
  /** The hosts that deployed code may ask, by project; every public one without it. */
  egress?: EgressOptions;
  /** Under which the server is reached from outside. */
  publicUrl?: string;
  /** What secrets are sealed with, instead of a key file in the data directory: 32 bytes, as hex or base64. */
  secretsKey?: string;
  /** False: deployed processors are stored and do not run, and no source is bundled. Else what they may take. */
  sandbox?: boolean | SandboxSettings;
  /**
   * Who acts on events beyond the built-ins, in this process and with all its rights: see `processorKind` of
   * @millrace/engine.
   */
  consumers?: readonly ConsumerKind[];
  /** Hears of every fault behind an answer, and of which request if it was one. */
  onFault?(error: unknown, request?: RequestNote): void;
  /** Hears what processors say by `logger` and `console`, so much of it as a log can bear. */
  onSaid?(said: Said): void;
  /** Hears of every refusal. */
  onRefusal?(refusal: StreamError, request: RequestNote): void;
  /** What is on disk is not known any more: the process has to end, and nothing is acknowledged from here on. */
  onFatal(message: string): void;
}

export interface RunningServer {
  url: string;
  engine: Engine;
  /** Ends readers, answers what was accepted, closes the log. Resolves when nothing of it runs any more. */
  close(): Promise<void>;
}

/** How long open connections may take to end before they are cut. */
const closeMs = 10_000;

/** @throws Error with one clear message when the data or the port cannot be used */
export async function serve(options: ServeOptions): Promise<RunningServer> {
  const inMemory = options.data === ":memory:";
  const lock = inMemory ? undefined : lockData(options.data);
  let directory: Directory | undefined;
  try {
    directory = inMemory
      ? createMemoryDirectory()
      : createSqliteDirectory({ directory: options.data, onFatal: options.onFatal });
    return await listen(options, directory, secretsOf(options), lock);
  } catch (error) {
    await directory?.close();
    lock?.release();
    throw error;
  }
}

function secretsOf({ data, secretsKey, limits = {} }: ServeOptions): KeptSecrets {
  if (data === ":memory:") return createMemorySecrets({ limits });
  return createFileSecrets({ directory: data, limits, ...(secretsKey === undefined ? {} : { key: secretsKey }) });
}

async function listen(
  options: ServeOptions,
  directory: Directory,
  secrets: KeptSecrets,
  lock: DataLock | undefined,
): Promise<RunningServer> {
  const { onFault = () => {}, access = {} } = options;
  // Decided once: without a tracer provider nothing is wrapped, and tracing costs nothing.
  const tracer = registeredTracer();
  const outside = createOutside(options, secrets, onFault);
  const engine = createEngine({
    directory: tracer === undefined ? directory : traceDirectory(directory, tracer),
    clock: systemClock,
    random: systemRandom,
    ...outside.ports,
    secrets,
    onFailure: (error) => onFault(error),
    ...(options.onSaid === undefined ? {} : { onSaid: options.onSaid }),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.consumers === undefined ? {} : { consumers: options.consumers }),
  });
  const handler = createHandler({
    engine,
    access,
    secrets,
    onFault,
    assets: createDocumentationAssets(),
    metrics: createProcessMetrics(),
    ...(options.onRefusal === undefined ? {} : { onRefusal: options.onRefusal }),
  });
  const server = createNodeServer(tracer === undefined ? handler : traceHandler(handler, tracer), engine.limits);
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(new Error(explainListen(error, options))));
    server.listen({ port: options.port, host: options.host, backlog: 4_096 }, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://${options.host.includes(":") ? `[${options.host}]` : options.host}:${port}`;
  lock?.announce(url);
  const { publicUrl } = options;
  outside.own.push(...ownOrigins({ url, publicUrl, hosts: access.hosts }));

  return {
    url,
    engine,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      const cut = setTimeout(() => server.closeAllConnections(), closeMs);
      await engine.close();
      await outside.close();
      const sweep = setInterval(() => {
        server.closeIdleConnections();
        // Connected, but never said anything: to Node such a connection is not idle, and it would hold up the end.
        for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
      }, 50);
      await closed;
      clearInterval(sweep);
      clearTimeout(cut);
      // Whoever asked may be gone before the answer; the next server must not read what this one still writes.
      await secrets.settled();
      lock?.release();
    },
  };
}

/** What leaves the process: expressions into processes of their own, requests into the network. */
function createOutside(options: ServeOptions, secrets: KeptSecrets, onFault: (error: Error) => void) {
  const { limits = {}, allowPrivateDestinations = false } = options;
  const timeoutMs = limits.expressionMs ?? defaultLimits.expressionMs;
  const expressions = createExpressions({ timeoutMs, onFault });
  const outbound = createOutbound({ allowPrivateDestinations });
  // Where it listens is known later than where requests go out.
  const own: string[] = [];
  const needs = { outbound, secrets, ownOrigins: own, onFault };
  const sandbox = options.sandbox === false ? undefined : sandboxOf(options, needs);
  const bundler = options.sandbox === false ? undefined : createBundler(options);
  return {
    ports: {
      ...{ expressions, outbound },
      ...(sandbox === undefined ? {} : { sandbox }),
      ...(bundler === undefined ? {} : { bundler }),
    },
    sandbox,
    own,
    close: async () => {
      await bundler?.close();
      await sandbox?.close();
      await Promise.all([expressions.close(), outbound.close()]);
    },
  };
}

function sandboxOf(
  { egress, sandbox }: ServeOptions,
  needs: Pick<Parameters<typeof createSandbox>[0], "outbound" | "secrets" | "ownOrigins" | "onFault">,
): WorkerdSandbox {
  const settings = typeof sandbox === "object" ? sandbox : {};
  return createSandbox({ ...needs, settings, ...(egress === undefined ? {} : { egress }) });
}

function explainListen(error: NodeJS.ErrnoException, { host, port }: ServeOptions): string {
  switch (error.code) {
    case "EADDRINUSE":
      return `Port ${port} on ${host} is in use. Choose another --port, or --port 0 for any free one.`;
    case "EACCES":
      return `Port ${port} needs more rights than this user has. Choose a --port above 1023.`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `This machine has no address ${host}. Choose another --host.`;
    default:
      return `Cannot listen on ${host}:${port} (${error.message}).`;
  }
}
