/**
 * The port OutboundStreams in memory, for tests: receivers are functions, bytes arrive at once, and only who never
 * answers takes time, from the clock that is given.
 */
import {
  type Clock,
  type HeaderList,
  OutboundError,
  type OutboundStreams,
  type StreamAnswer,
  type StreamRequest,
  type UpgradeRequest,
} from "@millrace/engine";
import type { StreamReceiver, StreamReceiverAnswer } from "./outbound-suite/stream-case.ts";
import { judgeOutboundUrl } from "./outbound-url.ts";
import { cuttable } from "./simulated-body.ts";

export interface SimulatedStreams extends OutboundStreams {
  /** Requests to this origin and path go there from now on. */
  register(url: string, receiver: StreamReceiver): void;
  close(): Promise<void>;
}

const ofTheConnection = new Set(["host", "connection", "content-length", "transfer-encoding", "upgrade", "expect"]);

export function createSimulatedStreams({ clock }: { clock: Pick<Clock, "setTimer"> }): SimulatedStreams {
  const receivers = new Map<string, StreamReceiver>();
  const ending = new AbortController();

  async function ask(request: UpgradeRequest & Partial<StreamRequest>): Promise<Asked> {
    const url = judgeOutboundUrl(request.url);
    judgeHeaders(request.headers);
    const cut = cutBy(url, [request.signal, ending.signal]);
    if (cut.aborted) throw cut.reason;
    const receiver = receivers.get(url.origin + url.pathname);
    if (receiver === undefined) throw new OutboundError("unreachable", `${url.origin}: connection refused.`);
    const own = request.body === undefined ? undefined : cuttable(request.body.stream, cut, (error) => error);
    const received = {
      method: request.method ?? "GET",
      url: url.href,
      headers: lowerCased(request.headers),
      body: own?.stream ?? new ReadableStream<Uint8Array>({ start: (sink) => sink.close() }),
    };
    const bodyFailed = own?.failed.then(() => {
      throw new OutboundError("aborted", `${url.origin}: the body of the request was cut before its end.`);
    });
    const answer = await Promise.race([
      Promise.resolve(receiver(received)).then((given) => (given === "never" ? new Promise<never>(() => {}) : given)),
      late(url, request.answerMs),
      aborted(cut),
      ...(bodyFailed === undefined ? [] : [bodyFailed]),
    ]);
    if (answer === "closes") throw new OutboundError("unreachable", `${url.origin}: the connection was closed.`);
    return { url, cut, answer: answer as Answered };
  }

  function late({ origin }: URL, answerMs: number): Promise<never> {
    return new Promise((_, reject) => {
      const error = new OutboundError("timeout", `${origin}: no answer within ${answerMs} ms.`);
      clock.setTimer(answerMs, () => reject(error));
    });
  }

  return {
    register: (url, receiver) => void receivers.set(url, receiver),
    async exchange(request) {
      const { url, cut, answer } = await ask(request);
      if ("open" in answer) throw new OutboundError("unreachable", `${url.origin}: it changed the protocol.`);
      return answered(url, cut, answer);
    },
    async upgrade(request) {
      const { url, cut, answer } = await ask(request);
      if (!("open" in answer)) return { is: "answered", ...answered(url, cut, answer) };
      const [there, back] = [new TransformStream<Uint8Array>(), new TransformStream<Uint8Array>()];
      const here = cuttable(back.readable, cut, (error) => error);
      answer.open({ readable: cuttable(there.readable, cut, (error) => error).stream, writable: back.writable });
      return { is: "open", headers: lowerCased(answer.headers ?? []), readable: here.stream, writable: there.writable };
    },
    async close() {
      ending.abort();
    },
  };
}

type Answered = Exclude<StreamReceiverAnswer, string>;

interface Asked {
  url: URL;
  cut: AbortSignal;
  answer: Answered;
}

function answered({ origin }: URL, cut: AbortSignal, answer: Exclude<Answered, { open: unknown }>): StreamAnswer {
  const body = answer.body ?? new ReadableStream<Uint8Array>({ start: (sink) => sink.close() });
  const closed = () => new OutboundError("unreachable", `${origin}: the connection was closed before the end.`);
  return {
    status: answer.status,
    headers: lowerCased(answer.headers ?? []),
    body: cuttable(body, cut, closed).stream,
  };
}

/** Aborted with what whoever asked gets. */
function cutBy({ origin }: URL, signals: readonly AbortSignal[]): AbortSignal {
  const cut = new AbortController();
  const abort = () => cut.abort(new OutboundError("aborted", `${origin}: the request was aborted.`));
  for (const signal of signals) {
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  }
  return cut.signal;
}

function aborted(cut: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (cut.aborted) reject(cut.reason);
    else cut.addEventListener("abort", () => reject(cut.reason), { once: true });
  });
}

function judgeHeaders(headers: HeaderList): void {
  for (const [name, value] of headers) {
    const isName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && !ofTheConnection.has(name.toLowerCase());
    if (isName && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)) continue;
    throw new OutboundError("refused", "A header of the request cannot be sent.");
  }
}

function lowerCased(headers: HeaderList): HeaderList {
  return headers.map(([name, value]) => [name.toLowerCase(), value]);
}
