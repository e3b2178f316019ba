/**
 * The client over three ways to a server: the handler in the same process, and a whole server behind TCP, asked by
 * `fetch` or by `node:http`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createEngine, createMemoryDirectory } from "@millrace/engine";
import { createHandler } from "@millrace/http";
import { type ClientOptions, createEventsClient, type EventsClient } from "@millrace/sdk";
import { httpTransport } from "@millrace/sdk/node";
import { createMemorySecrets, serve, systemClock, systemRandom } from "millrace";
import { afterAll, beforeAll, describe, expect } from "vitest";

export interface ClientFixture {
  connect(options?: Partial<ClientOptions>): EventsClient;
  /** How many readers the server has. */
  readers(): Promise<number>;
  close(): Promise<void>;
}

const quick = { baseMs: 5, maxMs: 50 };
const token = "a token of sixteen characters";

async function inProcess(): Promise<ClientFixture> {
  const faults: unknown[] = [];
  const onFault = (error: unknown) => void faults.push(error);
  const engine = createEngine({
    directory: createMemoryDirectory(),
    clock: systemClock,
    random: systemRandom,
    onFailure: onFault,
  });
  const handler = createHandler({ engine, access: { token }, secrets: createMemorySecrets(), onFault });
  return {
    connect: (options) =>
      createEventsClient({ baseUrl: "http://localhost", fetch: handler.fetch, retry: quick, token, ...options }),
    readers: async () => engine.gauges().readers,
    async close() {
      await engine.close();
      expect(faults).toEqual([]);
    },
  };
}

async function overTcp(options: Partial<ClientOptions> = {}): Promise<ClientFixture> {
  const faults: unknown[] = [];
  const onFault = (error: unknown) => void faults.push(error);
  const data = mkdtempSync(path.join(tmpdir(), "millrace-sdk-"));
  const server = await serve({ port: 0, host: "127.0.0.1", data, access: { token }, onFault, onFatal: onFault });
  return {
    connect: (more) => createEventsClient({ baseUrl: server.url, retry: quick, token, ...options, ...more }),
    readers: async () => ((await (await fetch(`${server.url}/readyz`)).json()) as { readers: number }).readers,
    async close() {
      // After an aborted answer Node's fetch opens a connection in advance; unused, it would hold up the server's end.
      await fetch(`${server.url}/healthz`);
      await server.close();
      rmSync(data, { recursive: true, force: true });
      expect(faults).toEqual([]);
    },
  };
}

/** The tests over all of them, each with a server of its own. */
export function describeClients(title: string, define: (fixture: () => ClientFixture) => void): void {
  describe.each([
    ["in process", inProcess],
    ["over TCP", () => overTcp()],
    ["over TCP by node:http", () => overTcp({ transport: httpTransport })],
  ] as const)(`${title}, %s`, (_, start) => {
    let fixture: ClientFixture;
    beforeAll(async () => {
      fixture = await start();
    });
    afterAll(() => fixture.close());
    define(() => fixture);
  });
}

export async function collect<Value>(values: AsyncIterable<Value>, count = Infinity): Promise<Value[]> {
  const collected: Value[] = [];
  if (count === 0) return collected;
  for await (const value of values) {
    collected.push(value);
    if (collected.length === count) break;
  }
  return collected;
}
