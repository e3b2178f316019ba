/**
 * One open connection to the peer of a WebSocket subscription: brings an event and waits until it is acknowledged, and
 * hands over what the peer appends meanwhile. It ends once, and never begins again.
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
  /** Rejects when the peer does not acknowledge it. */
  deliver(offset: number, frame: string, timeoutMs: number, signal: AbortSignal): Promise<void>;
  close(code: number, reason: string): void;
}

/** Of the peer's frames, and of answers that it has not read. */
const unansweredMax = 100;
/** "Policy violation" among the codes that a program may use. */
const policyViolation = 4008;

export function openLine({ host, clock, connect, answerAppend, redact }: LineNeeds): Line {
  let waiting: { offset: number; settle(failure?: Error): void } | undefined;
  let acknowledged = 0;
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
    waiting?.settle(new Error(end));
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

  function hearError({ offset, message }: { offset?: number; message: string }): void {
    // It may be about an event that was given up before.
    if (offset !== undefined && offset !== waiting?.offset) return;
    waiting?.settle(new Error(`${host} reported${excerpt(redact(message))}`));
  }

  function hearAck(offset: number): void {
    const isWaiting = waiting?.offset === offset;
    if (isWaiting) acknowledged = Math.max(acknowledged, offset);
    if (isWaiting) waiting?.settle();
    if (offset <= acknowledged) return;
    const expected = waiting === undefined ? "No event waits" : `Event ${waiting.offset} waits`;
    const message = `${expected} to be acknowledged, not ${offset}.`;
    answer(Promise.resolve(errorFrame(undefined, "invalid_request", message)));
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
    close,
    async deliver(offset, frame, timeoutMs, signal) {
      const socket = await opening;
      if (end !== undefined) throw new Error(end);
      signal.throwIfAborted();
      await new Promise<void>((resolve, reject) => {
        const cancel = clock.setTimer(timeoutMs, () => {
          settle(new Error(`${host} did not acknowledge event ${offset} within ${timeoutMs} ms.`));
          close(policyViolation, "no acknowledgement in time");
        });
        const abort = () => settle(signal.reason);
        signal.addEventListener("abort", abort, { once: true });

        function settle(failure?: Error): void {
          cancel();
          signal.removeEventListener("abort", abort);
          waiting = undefined;
          if (failure === undefined) resolve();
          else reject(failure);
        }

        waiting = { offset, settle };
        socket.send(frame).catch(settle);
      });
    },
  };
}
