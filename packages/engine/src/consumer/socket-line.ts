/**
 * One open connection to the peer of a WebSocket subscription: brings events, several at once, hears which of them are
 * acknowledged, and hands over what the peer appends meanwhile. It ends once, and never begins again.
 */
import type { Clock } from "@millrace/protocol";
import type { OutboundSocket, SocketRequest } from "../ports/outbound.ts";
import { excerpt } from "./push-headers.ts";
import type { AnswerAppend } from "./socket-appends.ts";
import { errorFrame, parseFrame } from "./socket-frames.ts";

export interface LineNeeds {
  /** In messages. */
  host: string;
  clock: Clock;
  connect(onMessage: SocketRequest["onMessage"]): Promise<OutboundSocket>;
  answerAppend: AnswerAppend;
  /** Takes out of a text what must not be repeated. */
  redact(text: string): string;
}

export interface Line {
  /** Rejects when it could not be opened. */
  readonly opening: Promise<unknown>;
  readonly ended: boolean;
  /** Events that were sent, and nobody asked yet what became of them. */
  readonly underWay: number;
  isUnderWay(offset: number): boolean;
  /** Resolves when there is room for more. What goes wrong is told to whoever asks for the event. */
  send(offset: number, frame: string): Promise<void>;
  /**
   * Of an event that is under way, once. Rejects when the peer does not take it, in this time from now.
   * @param signal aborts the waiting alone
   */
  acknowledged(offset: number, timeoutMs: number, signal: AbortSignal): Promise<void>;
  close(code: number, reason: string): void;
}

interface Sent {
  /** Undefined: it was taken. */
  answered: Promise<Error | undefined>;
  /** The first answer counts. */
  answer(failure?: Error): void;
}

/** Of the peer's frames, and of answers that it has not read. */
const unansweredMax = 100;
/** "Policy violation" among the codes that a program may use. */
const policyViolation = 4008;

export function openLine({ host, clock, connect, answerAppend, redact }: LineNeeds): Line {
  /** In the order in which they were sent. */
  const underWay = new Map<number, Sent>();
  let highestTaken = 0;
  let unanswered = 0;
  let end: string | undefined;
  const opening = connect(hear);
  opening.then(
    async (socket) => {
      const { code, reason } = await socket.closed;
      finish(`${host} closed the connection with ${code}${excerpt(redact(reason))}`);
    },
    () => finish(`${host} was not reached.`),
  );

  function finish(why: string): void {
    end ??= why;
    for (const { answer } of underWay.values()) answer(new Error(end));
  }

  function close(code: number, reason: string): void {
    finish(`The connection to ${host} was closed: ${reason}.`);
    opening.then(
      (socket) => socket.close(code, reason),
      () => {},
    );
  }

  function hear(text: string): void {
    if (end !== undefined) return;
    const frame = parseFrame(text);
    if (frame.type === "ack") hearAck(frame.offset);
    else if (frame.type === "error") hearError(frame);
    else if (frame.type === "append") answer(answerAppend(frame, text.length));
    else answer(Promise.resolve(errorFrame(frame.id, "invalid_request", frame.message)));
  }

  /** Without an offset it is about the first that was sent. */
  function hearError({ offset, message }: { offset?: number; message: string }): void {
    const [first] = underWay.keys();
    underWay.get(offset ?? first ?? 0)?.answer(new Error(`${host} reported${excerpt(redact(message))}`));
  }

  function hearAck(offset: number): void {
    const sent = underWay.get(offset);
    if (sent !== undefined) {
      highestTaken = Math.max(highestTaken, offset);
      sent.answer();
    } else if (offset > highestTaken) {
      const message = `No event ${offset} waits to be acknowledged.`;
      answer(Promise.resolve(errorFrame(undefined, "invalid_request", message)));
    }
  }

  function answer(answering: Promise<string>): void {
    unanswered++;
    if (unanswered > unansweredMax) close(policyViolation, `more than ${unansweredMax} frames at once`);
    answering
      .then(async (text) => (await opening).send(text))
      // Whoever is gone needs no answer.
      .catch(() => {})
      .finally(() => unanswered--);
  }

  return {
    opening,
    get ended() {
      return end !== undefined;
    },
    get underWay() {
      return underWay.size;
    },
    isUnderWay: (offset) => underWay.has(offset),
    close,
    async send(offset, frame) {
      const sent = sentNow();
      underWay.set(offset, sent);
      if (end !== undefined) return sent.answer(new Error(end));
      await opening.then((socket) => socket.send(frame)).catch(sent.answer);
    },
    async acknowledged(offset, timeoutMs, signal) {
      const sent = underWay.get(offset);
      if (sent === undefined) throw new Error(`Event ${offset} was not sent.`);
      const cancel = clock.setTimer(timeoutMs, () => {
        sent.answer(new Error(`${host} did not acknowledge event ${offset} within ${timeoutMs} ms.`));
        close(policyViolation, "no acknowledgement in time");
      });
      const abort = () => sent.answer(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      if (signal.aborted) abort();
      const failure = await sent.answered;
      cancel();
      signal.removeEventListener("abort", abort);
      underWay.delete(offset);
      if (failure !== undefined) throw failure;
    },
  };
}

function sentNow(): Sent {
  let answer: Sent["answer"] = () => {};
  const answered = new Promise<Error | undefined>((resolve) => {
    answer = resolve;
  });
  return { answered, answer };
}
