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
  return new Promise((resolve, reject) => {
    const sent = asked.body && sending(asked.body.stream);
    const course = startCourse(asked, sent, reject);
    if (course.isOver) return;
    const { method, destination } = asked;
    const path = `${destination.pathname}${destination.search}`;
    const options = { path, method, headers: headersOf(asked), body: sent ?? null, ...upgradeOf(asked) };
    try {
      client.dispatch(options, handlerOf(course, asked, resolve));
    } catch (error) {
      course.fail(error);
    }
  });
}

/** Of one request, from its start to its end, which comes once. */
interface Course {
  readonly isOver: boolean;
  /** Whoever reads it is told how it ends. */
  answer: AnswerBody | undefined;
  end(reusable: boolean): void;
  fail(error: unknown): void;
  /** It goes on elsewhere. */
  handOver(): void;
}

function startCourse(asked: Asked, sent: Readable | undefined, reject: (error: unknown) => void): Course {
  const { destination, signal, leave } = asked;
  const cut = () => course.fail(signal.reason);
  let isOver = false;

  const course: Course = {
    get isOver() {
      return isOver;
    },
    answer: undefined,
    end(reusable) {
      isOver = true;
      course.handOver();
      sent?.destroy();
      leave(reusable);
    },
    fail(error) {
      if (isOver) return;
      const isOwnBody = sent !== undefined && sent.errored !== null && sent.errored === error;
      const failure = isOwnBody ? bodyEnded(destination) : error;
      course.end(false);
      if (course.answer === undefined) reject(failure);
      else course.answer.fail(toOutboundError(failure, destination));
    },
    handOver: () => signal.removeEventListener("abort", cut),
  };
  if (signal.aborted) cut();
  else signal.addEventListener("abort", cut, { once: true });
  return course;
}

function handlerOf(
  course: Course,
  { onStage }: Asked,
  resolve: (answer: StreamAnswer | Upgraded) => void,
): Dispatcher.DispatchHandler {
  return {
    onRequestStart: () => onStage("sent"),
    onRequestUpgrade(controller, _status, _fields, socket) {
      if (course.isOver) return void socket.destroy();
      onStage("answered");
      course.handOver();
      resolve({ headers: listOf(controller.rawHeaders), socket });
    },
    onResponseStart(controller, status) {
      // 102, 103: the answer is still to come.
      if (course.isOver || status < 200) return;
      onStage("answered");
      course.answer = answerBody(controller, () => course.isOver || course.end(false));
      resolve({ status, headers: listOf(controller.rawHeaders), body: course.answer.stream });
      if (!hasBody(status)) course.answer.close();
    },
    onResponseData: (_controller, chunk) => course.answer?.take(chunk),
    onResponseEnd() {
      if (course.isOver) return;
      course.answer?.close();
      course.end(true);
    },
    onResponseError: (_controller, error) => course.fail(error),
  };
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
