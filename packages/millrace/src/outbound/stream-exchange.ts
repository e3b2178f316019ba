/** One streamed request over one connection. No more is read of either body than its reader takes. */
import { type Duplex, Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import { type HeaderList, OutboundError, type StreamAnswer, type StreamRequest } from "@millrace/engine";
import type { Client, Dispatcher } from "undici";
import { toOutboundError } from "./failure.ts";

export interface Conversation {
  destination: URL;
  /** Flat: name, value, name, value. */
  headers: string[];
  /** Aborted with what its sender gets. */
  signal: AbortSignal;
  onStage(stage: "sent" | "answered"): void;
  /** The connection is not needed any more. Called once. */
  leave(reusable: boolean): void;
}

export interface Asked extends Conversation {
  method: string;
  body?: StreamRequest["body"];
  upgrade?: string;
}

/** Read ahead of whoever reads an answer. */
const aheadBytes = 64 * 1024;

/** The connection became something else, which is its taker's from now on, as is leaving it. */
export interface Upgraded {
  headers: HeaderList;
  socket: Duplex;
}

/** Rejects with the signal's reason, or with what undici and Node say. */
export function converse(client: Client, asked: Asked): Promise<StreamAnswer | Upgraded> {
  const { destination, method, signal, onStage } = asked;
  return new Promise((resolve, reject) => {
    const sent = asked.body && sending(asked.body.stream);
    let answer: AnswerBody | undefined;
    let ended = false;

    function end(reusable: boolean): void {
      ended = true;
      signal.removeEventListener("abort", cut);
      sent?.destroy();
      asked.leave(reusable);
    }

    function fail(error: unknown): void {
      if (ended) return;
      const failure = sent?.errored === error && error !== null ? bodyEnded(destination) : error;
      end(false);
      if (answer === undefined) reject(failure);
      else answer.fail(toOutboundError(failure, destination));
    }

    const cut = () => fail(signal.reason);
    if (signal.aborted) return cut();
    signal.addEventListener("abort", cut, { once: true });

    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: () => onStage("sent"),
      onRequestUpgrade(controller, _status, _fields, socket) {
        if (ended) return void socket.destroy();
        onStage("answered");
        signal.removeEventListener("abort", cut);
        resolve({ headers: listOf(controller.rawHeaders), socket });
      },
      onResponseStart(controller, status) {
        // 102, 103: the answer is still to come.
        if (ended || status < 200) return;
        onStage("answered");
        answer = answerBody(controller, () => ended || end(false));
        resolve({ status, headers: listOf(controller.rawHeaders), body: answer.stream });
        if (!hasBody(status)) answer.close();
      },
      onResponseData: (_controller, chunk) => answer?.take(chunk),
      onResponseEnd() {
        if (ended) return;
        answer?.close();
        end(true);
      },
      onResponseError(_controller, error) {
        fail(error);
      },
    };
    const path = `${destination.pathname}${destination.search}`;
    try {
      client.dispatch({ path, method, headers: headersOf(asked), body: sent ?? null, ...upgradeOf(asked) }, handler);
    } catch (error) {
      fail(error);
    }
  });
}

function headersOf({ headers, body }: Asked): string[] {
  return body?.length === undefined ? headers : [...headers, "content-length", String(body.length)];
}

function upgradeOf({ upgrade }: Asked): { upgrade?: string } {
  return upgrade === undefined ? {} : { upgrade };
}

function sending(stream: ReadableStream<Uint8Array>): Readable {
  const readable = Readable.fromWeb(stream as NodeReadableStream<Uint8Array>);
  // Told by undici as the failure of the request.
  readable.on("error", () => {});
  return readable;
}

function bodyEnded({ origin }: URL): OutboundError {
  return new OutboundError("aborted", `${origin}: the body of the request was cut before its end.`);
}

/** Some servers give such an answer a length, which says nothing about it. */
function hasBody(status: number): boolean {
  return status !== 204 && status !== 304;
}

interface AnswerBody {
  stream: ReadableStream<Uint8Array>;
  take(chunk: Uint8Array): void;
  close(): void;
  fail(error: Error): void;
}

function answerBody(controller: Dispatcher.DispatchController, cancel: () => void): AnswerBody {
  let sink: ReadableStreamDefaultController<Uint8Array> | undefined;
  const stream = new ReadableStream<Uint8Array>(
    {
      start(given) {
        sink = given;
      },
      pull: () => controller.resume(),
      cancel() {
        sink = undefined;
        cancel();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: aheadBytes }),
  );
  const settle = (tell: (sink: ReadableStreamDefaultController<Uint8Array>) => void) => {
    if (sink !== undefined) tell(sink);
    sink = undefined;
  };
  return {
    stream,
    take(chunk) {
      sink?.enqueue(chunk);
      if ((sink?.desiredSize ?? 1) <= 0) controller.pause();
    },
    close: () => settle((open) => open.close()),
    fail: (error) => settle((open) => open.error(error)),
  };
}

/** Latin letters, a byte each: what came in is what goes on, whatever it was meant to be. */
function listOf(raw: Dispatcher.DispatchController["rawHeaders"]): [string, string][] {
  const flat = (raw ?? []) as Buffer[];
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    list.push([(flat[i] as Buffer).toString("latin1").toLowerCase(), (flat[i + 1] as Buffer).toString("latin1")]);
  }
  return list;
}
