/**
 * The trusted worker of a sandbox process. Each WebSocket from the host is one isolate: it is loaded by the first
 * message and goes with the connection. A delivery is one call into it; what the code asks of its host goes back over
 * the same connection, under the number of that delivery, so no code can ask in the name of another one. What is asked
 * and answered is a text here, which only the two ends read.
 */
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
import type { CodeError, SandboxDescription, SandboxResult } from "@millrace/engine";
import {
  askCharactersMax,
  asksMax,
  decodeMessage,
  encodeMessage,
  type FromRunner,
  type LoadMessage,
  logCharactersMax,
  messageBytesMax,
  type Question,
  questions,
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
  /** Resolves with the result, or null where it was told before and what it left behind is over. */
  deliver(id: number, delivery: string, host: HostOfDelivery): Promise<string | null>;
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

interface Delivery {
  ask(question: Question, args: string): Promise<string>;
  /** The hook is over, and what it left behind is not. */
  returned(result: string): void;
  /** Of the hook, and by name of what it left behind. */
  endings: Map<string | undefined, Ending>;
  /** Questions that are not answered, and those that wait for their turn. */
  asking: number;
  waiting: (() => void)[];
}

/** When something is to end early: why, or null when it came to its own end. */
interface Ending {
  told: Promise<string | null>;
  tell(reason: string | null): void;
}

/** What a delivery may ask of the host. */
class HostOfDelivery extends RpcTarget {
  readonly #delivery: Delivery;

  constructor(delivery: Delivery) {
    super();
    this.#delivery = delivery;
  }

  /** The code may call this itself: what is no text is no question, and is not made one here, by code of its own. */
  ask(question: Question, args: string): Promise<string> {
    if (!questions.has(question) || typeof args !== "string") throw new TypeError("That cannot be asked.");
    return this.#delivery.ask(question, args);
  }

  returned(result: string): void {
    this.#delivery.returned(String(result));
  }

  aborted(work: string | null): Promise<string | null> {
    return endingOf(this.#delivery, work ?? undefined).told;
  }
}

function endingOf({ endings }: Delivery, work: string | undefined): Ending {
  const known = endings.get(work);
  if (known !== undefined) return known;
  let tell: Ending["tell"] = () => {};
  const ending = { told: new Promise<string | null>((resolve) => (tell = resolve)), tell };
  endings.set(work, ending);
  return ending;
}

function serveIsolate(socket: Socket, env: Environment, context: Context): void {
  const deliveries = new Map<number, Delivery>();
  const asked = new Map<number, (answer: string) => void>();
  let harness: Harness | undefined;
  let asks = 0;

  const send = (message: FromRunner, body?: string) => socket.send(encodeMessage(message, body));

  /** The code chose what it says: what is too much is not sent, or the host would have to read it. */
  async function ask(id: number, open: Delivery, question: Question, args: string): Promise<string> {
    const charactersMax = question === "log" ? logCharactersMax : askCharactersMax;
    if (args.length > charactersMax) return JSON.stringify({ error: tooMuch(args.length, charactersMax) });
    if (open.asking >= asksMax) await new Promise<void>((resolve) => open.waiting.push(resolve));
    open.asking++;
    const number = ++asks;
    const answer = await new Promise<string>((resolve) => {
      asked.set(number, resolve);
      send({ is: "asked", id, ask: number, question }, args);
    });
    open.asking--;
    open.waiting.shift()?.();
    return answer;
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

  async function deliver(id: number, delivery: string): Promise<void> {
    let told = false;
    const tell = (result: string, working: boolean) => {
      if (!told) send({ is: "result", id, working }, isTooLong(result) ? tooLong : result);
      told = true;
    };
    const open: Delivery = {
      asking: 0,
      waiting: [],
      ask: (question, args) => ask(id, open, question, args),
      returned: (result) => tell(result, true),
      endings: new Map(),
    };
    deliveries.set(id, open);
    try {
      const result = await (harness as Harness).deliver(id, delivery, new HostOfDelivery(open));
      if (!told) return tell(String(result), false);
    } catch (error) {
      const failed: SandboxResult = { is: "hook-failed", error: errorOf(error), passedOver: [] };
      if (!told) return tell(JSON.stringify(failed), false);
    } finally {
      deliveries.delete(id);
      for (const ending of open.endings.values()) ending.tell(null);
    }
    send({ is: "over", id });
  }

  function abort({ id, work, reason }: Extract<ToRunner, { is: "abort" }>): void {
    const open = deliveries.get(id);
    if (open !== undefined) endingOf(open, work).tell(reason);
  }

  function answer({ ask }: Extract<ToRunner, { is: "answer" }>, body: string): void {
    asked.get(ask)?.(body);
    asked.delete(ask);
  }

  function hear(message: ToRunner, body: string): void {
    if (message.is === "ping") send({ is: "pong", id: message.id });
    if (message.is === "load") start(load(message));
    if (message.is === "deliver") start(deliver(message.id, body));
    if (message.is === "abort") abort(message);
    if (message.is === "answer") answer(message, body);
    if (message.is === "forget") start(harness?.forget(message.state));
  }

  socket.addEventListener("message", ({ data }) => hear(...decodeMessage<ToRunner>(data)));
}

/** A state is a text in a text. */
const resultCharactersMax = 2 * stateCharactersMax + askCharactersMax;
/** Beside the head of its message. */
const resultBytesMax = messageBytesMax - 1_024;
const tooLong = JSON.stringify({
  is: "hook-failed",
  error: {
    name: "Error",
    message: `The answer has more than ${resultCharactersMax} characters, or ${resultBytesMax} bytes.`,
  },
  passedOver: [],
});

/** Sent all the same, it would end the line, and the hook would be called again as one that was interrupted. */
function isTooLong(result: string): boolean {
  if (result.length > resultCharactersMax) return true;
  // Most have far too few characters to be counted.
  return result.length > resultBytesMax / 3 && new TextEncoder().encode(result).length > resultBytesMax;
}

function tooMuch(characters: number, limit: number): CodeError {
  const message = `What was asked of the server has ${characters} characters, more than ${limit}.`;
  return { name: "StreamError", message, code: "too_large", data: { limit, unit: "bytes" } };
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

/** Of what an error says, so that it can be sent; the host keeps less. */
const errorCharactersMax = 64 * 1024;

function errorOf(error: unknown): CodeError {
  if (!(error instanceof Error)) return { name: "Error", message: bounded(error) };
  const { name, message, stack } = error;
  const said = { name: bounded(name), message: bounded(message) };
  return stack === undefined ? said : { ...said, stack: bounded(stack) };
}

function bounded(said: unknown): string {
  return String(said).slice(0, errorCharactersMax);
}

export default {
  fetch(_request: Request, env: Environment, context: Context): Response {
    const [client, server] = Object.values(new WebSocketPair()) as [Socket, Socket];
    server.accept();
    serveIsolate(server, env, context);
    return new Response(null, { status: 101, webSocket: client } as ResponseInit);
  },
};
