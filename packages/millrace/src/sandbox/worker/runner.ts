/**
 * The trusted worker of a sandbox process. Each WebSocket from the host is one isolate: it is loaded by the first
 * message and goes with the connection. A delivery is one call into it; what the code asks of its host goes back over
 * the same connection, under the number of that delivery, so no code can ask in the name of another one.
 */
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
import type { CodeError, SandboxDelivery, SandboxDescription, SandboxResult } from "@millrace/engine";
import {
  askCharactersMax,
  asksMax,
  type FromRunner,
  type LoadMessage,
  type Question,
  stateCharactersMax,
  type ToRunner,
} from "../messages.ts";

interface Socket {
  accept(): void;
  send(text: string): void;
  close(code: number, reason: string): void;
  addEventListener(type: "message", listener: (event: { data: string }) => void): void;
}
declare const WebSocketPair: new () => [client: Socket, server: Socket];

interface Harness {
  describe(): Promise<SandboxDescription>;
  deliver(
    id: number,
    delivery: SandboxDelivery,
    host: HostOfDelivery,
    signal: AbortSignal,
  ): Promise<SandboxResult | null>;
  forget(state: string): Promise<void>;
}

interface Environment {
  LOADER: { load(code: object): { getEntrypoint(): Harness } };
  EGRESS: { fetch(request: Request): Promise<Response> };
}

interface Context {
  exports: { Egress(options: { props: { isolate: string } }): unknown };
}

/** The only way out of an isolate. What it is called is set here, whatever the code wrote. */
export class Egress extends WorkerEntrypoint<{ isolate: string }> {
  fetch(original: Request): Promise<Response> {
    const request = new Request(original);
    request.headers.set("x-millrace-isolate", this.ctx.props.isolate);
    return (this.env.EGRESS as Environment["EGRESS"]).fetch(request);
  }

  connect(): never {
    throw new Error("Raw sockets are not permitted.");
  }
}

type Ask = (id: number, question: Question, args: readonly unknown[]) => Promise<unknown>;

/** What a delivery may ask of the host. */
class HostOfDelivery extends RpcTarget {
  readonly #id: number;
  readonly #ask: Ask;
  readonly #open: Delivery;
  readonly #finish: (result: SandboxResult) => void;

  constructor(id: number, ask: Ask, open: Delivery, finish: (result: SandboxResult) => void) {
    super();
    this.#id = id;
    this.#ask = ask;
    this.#open = open;
    this.#finish = finish;
  }

  append(input: unknown, work: string | undefined): Promise<unknown> {
    return this.#ask(this.#id, "append", work === undefined ? [input] : [input, work]);
  }

  open(work: string): Promise<unknown> {
    return this.#ask(this.#id, "open", [work]);
  }

  async begun(work: string): Promise<AbortSignal | null> {
    const controller = new AbortController();
    this.#open.works.set(work, controller);
    const begins = await this.#ask(this.#id, "begun", [work]);
    return begins === true ? controller.signal : null;
  }

  async closed(work: string, error: CodeError | undefined): Promise<void> {
    await this.#ask(this.#id, "closed", error === undefined ? [work] : [work, error]);
    this.#open.works.delete(work);
  }

  async abort(work: string): Promise<void> {
    await this.#ask(this.#id, "abort", [work]);
  }

  async log(level: string, message: string, details: unknown): Promise<void> {
    await this.#ask(this.#id, "log", [level, message, details]);
  }

  /** The hook is over, and what it left behind is not. */
  async returned(result: SandboxResult): Promise<void> {
    this.#finish(result);
  }
}

interface Delivery {
  controller: AbortController;
  works: Map<string, AbortController>;
  /** Questions that are not answered, and those that wait for their turn. */
  asking: number;
  waiting: (() => void)[];
}

async function turn(open: Delivery): Promise<void> {
  if (open.asking >= asksMax) await new Promise<void>((resolve) => open.waiting.push(resolve));
  open.asking++;
}

function serveIsolate(socket: Socket, env: Environment, context: Context): void {
  const deliveries = new Map<number, Delivery>();
  const asked = new Map<number, (value: unknown) => void>();
  let harness: Harness | undefined;
  let asks = 0;

  const send = (message: FromRunner) => socket.send(JSON.stringify(message));

  /** The code chose what it says: what is too much is not sent, or the host would have to read it. */
  const ask: Ask = async (id, question, args) => {
    const open = deliveries.get(id);
    if (open === undefined) return { error: callIsOver };
    const number = ++asks;
    const text = JSON.stringify({ is: "asked", id, ask: number, question, args: plain(args) });
    if (text.length > askCharactersMax) return { error: tooMuch(text.length) };
    await turn(open);
    const answer = new Promise((resolve) => asked.set(number, resolve));
    socket.send(text);
    const value = await answer;
    open.asking--;
    open.waiting.shift()?.();
    return value;
  };

  function sendResult(id: number, result: unknown, working: boolean): void {
    const text = JSON.stringify({ is: "result", id, result: plain(result), working });
    if (text.length <= 2 * stateCharactersMax + askCharactersMax) {
      socket.send(text);
      return;
    }
    const error = { name: "Error", message: `The answer has ${text.length} characters.` };
    send({ is: "result", id, result: { is: "hook-failed", error, passedOver: [] }, working });
  }

  async function load({ modules, env: variables, isolate, limits, ...compatibility }: LoadMessage): Promise<void> {
    try {
      const loaded = env.LOADER.load({
        ...compatibility,
        mainModule: "harness.js",
        modules,
        env: variables,
        // Enforced where the runtime enforces anything; here the host watches.
        limits: { cpuMs: limits?.cpuMs ?? 1_000, subRequests: 1_000 },
        globalOutbound: context.exports.Egress({ props: { isolate } }),
      });
      harness = loaded.getEntrypoint();
      const text = JSON.stringify({ is: "loaded", description: plain(await harness.describe()) });
      if (text.length > stateCharactersMax)
        throw new Error(`The processor describes itself in ${text.length} characters.`);
      socket.send(text);
    } catch (error) {
      send({ is: "load-failed", error: errorOf(error) });
    }
  }

  async function deliver(id: number, delivery: SandboxDelivery): Promise<void> {
    const open: Delivery = { controller: new AbortController(), works: new Map(), asking: 0, waiting: [] };
    deliveries.set(id, open);
    let returned = false;
    const host = new HostOfDelivery(id, ask, open, (result) => {
      if (returned) return;
      returned = true;
      sendResult(id, result, true);
    });
    try {
      const result = await (harness as Harness).deliver(id, delivery, host, open.controller.signal);
      if (!returned) sendResult(id, result, false);
    } catch (error) {
      if (!returned) sendResult(id, { is: "hook-failed", error: errorOf(error), passedOver: [] }, false);
    } finally {
      deliveries.delete(id);
      if (returned) send({ is: "over", id });
    }
  }

  function abort({ id, work, reason }: Extract<ToRunner, { is: "abort" }>): void {
    const open = deliveries.get(id);
    const controller = work === undefined ? open?.controller : open?.works.get(work);
    controller?.abort(new Error(reason));
  }

  function answer({ ask: number, value }: Extract<ToRunner, { is: "answer" }>): void {
    asked.get(number)?.(value);
    asked.delete(number);
  }

  function hear(message: ToRunner): void {
    if (message.is === "ping") send({ is: "pong", id: message.id });
    if (message.is === "load") start(load(message));
    if (message.is === "deliver") start(deliver(message.id, message.delivery));
    if (message.is === "abort") abort(message);
    if (message.is === "answer") answer(message);
    if (message.is === "forget") start(harness?.forget(message.state));
  }

  socket.addEventListener("message", ({ data }) => hear(JSON.parse(data) as ToRunner));
}

const callIsOver: CodeError = { name: "Error", message: "This call is over." };

function tooMuch(characters: number): CodeError {
  const message = `What was asked of the server has ${characters} characters, more than ${askCharactersMax}.`;
  return { name: "StreamError", message, code: "too_large", data: { limit: askCharactersMax, unit: "bytes" } };
}

const depthMax = 200;

/**
 * What the code gave, without its functions: they come as stubs, and JSON would call one that is named `toJSON`, so that
 * code would run that no delivery answers for.
 */
function plain(value: unknown, depth = 0): unknown {
  if (typeof value === "function") return undefined;
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (depth === depthMax) throw new TypeError("It is nested too deeply, or in a circular structure.");
  if (Array.isArray(value)) return value.map((each) => plain(each, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each, depth + 1)]));
}

/** Whatever becomes of it is said over the line. */
function start(running: Promise<void> | undefined): void {
  running?.catch(() => {});
}

function errorOf(error: unknown): CodeError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { name, message, stack } = error;
  return { name, message, ...(stack === undefined ? {} : { stack }) };
}

export default {
  fetch(_request: Request, env: Environment, context: Context): Response {
    const [client, server] = Object.values(new WebSocketPair()) as [Socket, Socket];
    server.accept();
    serveIsolate(server, env, context);
    return new Response(null, { status: 101, webSocket: client } as ResponseInit);
  },
};
