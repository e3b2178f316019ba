/** A server process with a secret and a fake of OpenAI beside it, and an agent in a stream of its own for each test. */
import { readFileSync } from "node:fs";
import type { StreamEvent } from "@millrace/protocol";
import { afterAll, beforeAll } from "vitest";
import { append, breakerOff, builtin, follow, readAll } from "../processes/http.ts";
import { type ServerProcess, startServer, temporaryDirectory } from "../processes/server-process.ts";
import { type FakeOpenai, startFakeOpenai } from "./fake-openai.ts";

/** What may be found nowhere. */
export const key = "sk-test-0123456789abcdefghijklmnopqrstuvwxyz";

export interface AgentWorld {
  readonly server: ServerProcess;
  readonly fake: FakeOpenai;
  readonly data: string;
  restart(): Promise<void>;
  /** A stream of its own, in which nothing runs. */
  stream(): Promise<Agent>;
  /** The same, in which this code runs under the slug `agent`. */
  agent(code: string): Promise<Agent>;
}

export interface Agent {
  path: string;
  /** Gives the offset of what was said. */
  say(content: string): Promise<number>;
  /** Under the slug `agent`, in place of what ran there. */
  deploy(code: string): Promise<void>;
  append(...events: object[]): Promise<StreamEvent[]>;
  events(): Promise<StreamEvent[]>;
  /** Waits for an event of this type (or its last part), and gives all of the stream. */
  until(type: string, count?: number): Promise<StreamEvent[]>;
}

export const codeOf = (example: string): string =>
  readFileSync(new URL(`../../examples/${example}`, import.meta.url), "utf8");

export function createAgentWorld(): AgentWorld {
  const { directory: data, remove } = temporaryDirectory();
  let server: ServerProcess | undefined;
  let fake: FakeOpenai | undefined;
  let streams = 0;
  const world = {
    data,
    get server() {
      return server as ServerProcess;
    },
    get fake() {
      return fake as FakeOpenai;
    },
    async restart() {
      await server?.kill();
      server = await launch(data);
    },
    async stream(): Promise<Agent> {
      const agent = agentAt(world, `/agents/${++streams}`);
      await agent.append(breakerOff);
      return agent;
    },
    async agent(code: string): Promise<Agent> {
      const agent = await world.stream();
      await agent.deploy(code);
      return agent;
    },
  };
  beforeAll(async () => {
    [server, fake] = await Promise.all([launch(data), startFakeOpenai(key)]);
    const secret = { name: "openai", value: key, hosts: [fake.host] };
    const response = await fetch(`${server.url}/api/secrets`, { method: "POST", body: JSON.stringify(secret) });
    if (!response.ok) throw new Error(await response.text());
  });
  afterAll(async () => {
    await server?.stop("SIGTERM");
    await fake?.close();
    remove();
  });
  return world;
}

/** With everything that is ever logged. */
const launch = (data: string) => startServer({ data, args: ["--allow-private-destinations", "--log-level", "debug"] });

function agentAt(world: Pick<AgentWorld, "server" | "fake">, path: string): Agent {
  // Behind a restart it is another one.
  const url = () => world.server.url;
  const events = () => readAll(url(), path);
  const post = (...all: object[]) => append(url(), path, all);
  return {
    path,
    events,
    append: post,
    async deploy(code) {
      const payload = { slug: "agent", script: code, env: { OPENAI_BASE_URL: world.fake.url } };
      await post({ type: builtin("dynamic-worker/configured"), payload });
    },
    async say(content) {
      const [event] = await post({ type: "agent-input-added", payload: { content } });
      return (event as StreamEvent).offset;
    },
    async until(type, count = 1) {
      let seen = 0;
      await follow(url(), path, "", (event) => event.type.endsWith(type) && ++seen === count);
      return events();
    },
  };
}
