/**
 * Delivery over a WebSocket that the server opens. The consumer asks for one event after the other; what comes behind
 * the one that it waits for is sent ahead, up to a window, so that asking for it finds it sent, or even acknowledged.
 * It is opened when there is something to deliver, and closed when nothing went either way for a while.
 */
import { type ConsumerSpec, type StreamEvent, unacknowledgedEventsMax } from "@millrace/protocol";
import { unavailable } from "../unavailable.ts";
import { textOf } from "./rules.ts";
import { eventFrame } from "./socket-frames.ts";
import type { Line } from "./socket-line.ts";
import { createLineOpener } from "./socket-open.ts";
import type { ConsumerPlace } from "./spec.ts";
import type { Deliverer, Hook, Prepared, Preparing, SubscriptionPayload, SubscriptionPorts } from "./subscriptions.ts";
import { createUpcoming } from "./upcoming.ts";

/** Events that are looked at before their turn, however few of them are for this subscription. */
const lookAheadMax = 1_000;
const defaultTimeoutSeconds = 15;
/** A server with nothing to deliver holds nothing open. */
const idleMs = 60_000;
const normal = 1000;
/** What was sent behind an event that was not taken is void: it comes again, over another connection. */
const notTaken = 4009;
const ended = "the subscription has ended";

export function createSocket(
  payload: SubscriptionPayload,
  spec: ConsumerSpec,
  place: ConsumerPlace,
  cursor: number,
  ports: SubscriptionPorts,
  { prepare, isTurningPoint }: Preparing,
): Deliverer {
  const timeoutMs = (payload.timeoutSeconds ?? defaultTimeoutSeconds) * 1_000;
  const open = createLineOpener(payload, spec, place, ports, { timeoutMs, fence, onAppend: () => keep() });
  const upcoming = createUpcoming(place);
  let line: Line | undefined;
  let cancelIdle = () => {};
  let closed = false;
  /** Everything up to here was acknowledged, or was not for this subscription. After a restart that is the cursor. */
  let proven = cursor;
  /** The same of what was sent over this line. */
  let sentThrough = cursor;
  /** The offset whose turn it is, and the last one that was sent or is not for this subscription. */
  let turn = cursor;
  let judged = cursor;
  /** The event that was looked at last: its expressions are evaluated once, in its turn or ahead of it. */
  let looked: { offset: number; prepared: Promise<Prepared | undefined> } | undefined;
  /** An event has its turn and waits for its acknowledgement. Only then anything is sent ahead of its own. */
  let isWaiting = false;
  let isSendingAhead = false;

  function fence(): void {
    if (closed) throw unavailable("The subscription has ended.");
  }

  function keep(): void {
    cancelIdle();
    if (closed) line?.close(normal, ended);
    else cancelIdle = place.clock.setTimer(idleMs, () => line?.close(normal, "idle"));
  }

  async function act({ event, signal }: Hook): Promise<void> {
    turn = event.offset;
    if (turn <= judged) return line?.isUnderWay(turn) ? delivered(turn, signal) : undefined;
    const prepared = await look(event).finally(() => {
      looked = undefined;
    });
    // The stream may have been deleted, or paused, while it was looked at.
    if (signal.aborted) throw signal.reason;
    // It was sent ahead while it was looked at.
    if (turn <= judged) return prepared === undefined ? undefined : delivered(turn, signal);
    if (prepared === undefined) judged = turn;
    else await delivered(prepared.event.offset, signal, prepared);
  }

  /** @param unsent what is to be sent first */
  async function delivered(offset: number, signal: AbortSignal, unsent?: Prepared): Promise<void> {
    cancelIdle();
    let taken = false;
    try {
      if (unsent !== undefined) await sendInTurn(unsent, signal);
      const acknowledged = (line as Line).acknowledged(offset, timeoutMs, signal);
      // A replay may be of an event that lies ahead: it would be sent twice, and which of them is acknowledged?
      isWaiting = unsent?.again !== true || offset < turn;
      void sendAhead();
      await acknowledged;
      if (unsent?.again !== true) proven = offset;
      taken = true;
    } catch (error) {
      // From here on everything comes again.
      judged = turn - 1;
      upcoming.forget();
      if (!signal.aborted) line?.close(notTaken, "an event was not taken");
      throw error;
    } finally {
      isWaiting = false;
      place.meter[taken ? "deliveries" : "deliveryFailures"]++;
      keep();
    }
  }

  async function sendInTurn(prepared: Prepared, signal: AbortSignal): Promise<void> {
    if (line === undefined || line.ended) {
      line = await open(signal);
      sentThrough = proven;
    }
    judged = turn;
    void send(line, prepared);
  }

  function send(over: Line, { event: { offset }, transformed, again, event }: Prepared): Promise<void> {
    const frame = eventFrame(offset, again ? offset - 1 : sentThrough, transformed ?? textOf(event));
    if (!again) sentThrough = offset;
    return over.send(offset, frame);
  }

  /** What fails here fails again when it has its turn, and is told then. */
  async function sendAhead(): Promise<void> {
    if (isSendingAhead || line === undefined) return;
    isSendingAhead = true;
    try {
      const over = line;
      while (isWaiting && over === line && !over.ended && over.underWay < unacknowledgedEventsMax) {
        const event = await upcoming.behind(judged);
        if (event === undefined || event.offset > turn + lookAheadMax || isTurningPoint(event)) return;
        const prepared = await look(event);
        if (!isWaiting || over !== line || over.ended) return;
        if (event.offset <= judged) continue;
        judged = event.offset;
        if (prepared !== undefined) await send(over, prepared);
      }
    } catch {
    } finally {
      isSendingAhead = false;
    }
  }

  function look(event: StreamEvent): Promise<Prepared | undefined> {
    const { offset } = event;
    if (looked?.offset !== offset) looked = { offset, prepared: prepare(event) };
    return looked.prepared;
  }

  return {
    act,
    isHolding: () => line !== undefined && !line.ended,
    grown: () => void sendAhead(),
    close() {
      closed = true;
      cancelIdle();
      line?.close(normal, ended);
    },
  };
}
