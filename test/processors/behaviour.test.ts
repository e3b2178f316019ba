/** One behaviour, anywhere: in the server, in its sandbox, on a laptop that pulls, in a web service that is pushed to. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { processorKind } from "@millrace/engine";
import { createSocketHandler, createWebhookHandler, type EventsClient, runProcessor } from "@millrace/sdk/processor";
import { type RunningServer, serve } from "millrace";
import { afterAll, beforeAll, describe } from "vitest";
import { WebSocketServer } from "ws";
import { type AnyProcessor, behaviour, type Place, type ProcessorFile } from "./behaviour.ts";

const builtin = (name: string) => `https://events.iterate.com/events/stream/${name}`;
/** What a configuration in the server refers to: code stands in no event here. */
const scripts = new Map<string, AnyProcessor>();
let server: RunningServer;
/** One that runs what is deployed, in workerd. */
let sandboxed: RunningServer;

beforeAll(async () => {
  const load = async ({ path, slug }: { path: string; slug: string }) => scripts.get(`${path} ${slug}`) as AnyProcessor;
  const options = {
    port: 0,
    host: "127.0.0.1",
    data: ":memory:",
    allowPrivateDestinations: true,
    onFatal(message: string) {
      throw new Error(message);
    },
  };
  server = await serve({ ...options, consumers: [processorKind(load)] });
  sandboxed = await serve(options);
});
afterAll(() => Promise.all([server.close(), sandboxed.close()]));

const inServer: Place = {
  async start(client, { processor }, path) {
    const { slug } = processor;
    scripts.set(`${path} ${slug}`, processor);
    await client.append(path, { type: builtin("dynamic-worker/configured"), payload: { slug, script: slug } });
    return {
      async stop() {
        await client.append(path, { type: builtin("dynamic-worker/removed"), payload: { slug } });
      },
    };
  },
};

async function deploy(client: EventsClient, { processor: { slug }, file }: ProcessorFile, path: string) {
  const script = await readFile(file, "utf8");
  await client.append(path, { type: builtin("dynamic-worker/configured"), payload: { slug, script } });
  return () => client.append(path, { type: builtin("dynamic-worker/removed"), payload: { slug } });
}

const inSandbox: Place = {
  async start(client, what, path) {
    const remove = await deploy(client, what, path);
    return {
      async stop() {
        await remove();
      },
    };
  },
};

const besideAnother: Place = {
  async start(client, what, path) {
    const twin = path.replace("/behaviour/", "/twins/");
    const removing = [await deploy(client, what, twin), await deploy(client, what, path)];
    return {
      twin,
      async stop() {
        for (const remove of removing) await remove();
      },
    };
  },
};

const pulled: Place = {
  async start(client, { processor }, path) {
    const run = runProcessor({ client, processor, path });
    await run.ready;
    return run;
  },
};

const pushed: Place = {
  async start(client, { processor }, path) {
    const { slug } = processor;
    let handler: ReturnType<typeof createWebhookHandler> | undefined;
    const receiver = createServer(async (incoming, outgoing) => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
      const headers = Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)]);
      const request = new Request("http://receiver/", { method: "POST", headers, body: Buffer.concat(chunks) });
      const response = await handler?.(request);
      outgoing.writeHead(response?.status ?? 503).end(await response?.text());
    });
    await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
    const callbackUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
    const payload = { slug, type: "webhook", callbackUrl };
    const appended = await client.append(path, { type: builtin("subscription/configured"), payload });
    handler = createWebhookHandler({ client, processor, path, signingSecret: appended.signingSecret as string });
    return {
      async stop() {
        await client.append(path, { type: builtin("subscription/removed"), payload: { slug } });
        await handler?.stop();
        receiver.closeAllConnections();
        receiver.close();
      },
    };
  },
};

const pushedBySocket: Place = {
  async start(client, { processor }, path) {
    const { slug } = processor;
    let handler: ReturnType<typeof createSocketHandler> | undefined;
    const receiver = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(receiver, "listening");
    receiver.on("connection", (socket, request) => handler?.(socket, request.headers));
    const callbackUrl = `ws://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
    const payload = { slug, type: "websocket", callbackUrl };
    const appended = await client.append(path, { type: builtin("subscription/configured"), payload });
    handler = createSocketHandler({ client, processor, path, signingSecret: appended.signingSecret as string });
    return {
      async stop() {
        await client.append(path, { type: builtin("subscription/removed"), payload: { slug } });
        await handler?.stop();
        for (const socket of receiver.clients) socket.terminate();
        receiver.close();
      },
    };
  },
};

describe.each([
  ["in the server", inServer, () => server.url],
  ["in the sandbox", inSandbox, () => sandboxed.url],
  ["in the sandbox, beside another stream in the same isolate", besideAnother, () => sandboxed.url],
  ["pulled", pulled, () => server.url],
  ["pushed to by webhook", pushed, () => server.url],
  ["pushed to by WebSocket", pushedBySocket, () => server.url],
] as const)("%s", (_, place, url) => behaviour(place, url));
