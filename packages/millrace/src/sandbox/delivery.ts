/**
 * One delivery on the side of the host, from when it is sent until nothing of it runs any more: the hook, and the work
 * that it left behind. Whatever the code does, it comes to an end here.
 */
import {
  type Bridge,
  createBridge,
  type SandboxCalls,
  type SandboxDelivery,
  type SandboxError,
  type SandboxPlace,
  type SandboxResult,
} from "@millrace/engine";
import type { Activity, Deed } from "./activity.ts";
import { argumentsOf, codeErrorOf, resultOf } from "./heard.ts";
import type { FromRunner, Question, ToRunner } from "./messages.ts";

/** A delivery that runs: on whose behalf, and for which event. */
export interface RunningCall {
  calls: SandboxCalls;
  cause: { streamPath: string; offset: number; depth: number; slug: string };
}

export interface DeliveryNeeds {
  id: number;
  delivery: SandboxDelivery;
  calls: SandboxCalls;
  place: SandboxPlace;
  activity: Activity;
  /** How long its hook may take. */
  timeoutMs?: number;
  /** How long it may take where there is no hook. */
  foldMs?: number;
  /** @param body the JSON text that belongs to it */
  send(message: ToRunner, body?: string): void;
  /** @param isLeft what still runs of it is left behind; else nothing does */
  over(isLeft: boolean): void;
}

/** How long an ended hook, or work, has to come to its end before it is left behind. */
const graceMs = 5_000;
/** Folding waits for nothing, unless the code makes it: then nobody else would end it, and it would hold up its server. */
const foldMsDefault = 60_000;
const levels: ReadonlySet<unknown> = new Set(["debug", "info", "warn", "error"]);
const nameCharactersMax = 1_000;
/** Whatever the code says, the numbers stay such as can be added up. */
const leftOutMax = 1_000_000_000;

export class Delivery implements RunningCall {
  readonly calls: SandboxCalls;
  readonly cause: RunningCall["cause"];
  /** Rejects with SandboxError. */
  readonly result: Promise<SandboxResult>;
  readonly #needs: DeliveryNeeds;
  readonly #bridge: Bridge;
  #settle: (result: SandboxResult | SandboxError) => void = () => {};
  #isAnswered = false;
  #isOver = false;
  /** Work that it began, as the host knows of it. */
  #works = 0;
  #lateness: string | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #leaving: NodeJS.Timeout | undefined;

  constructor(needs: DeliveryNeeds) {
    const { calls, delivery, place, timeoutMs, foldMs = foldMsDefault } = needs;
    this.#needs = needs;
    this.calls = calls;
    this.cause = causeOf(delivery, place);
    this.#bridge = createBridge(this.#withWork(calls));
    this.result = new Promise((resolve, reject) => {
      this.#settle = (result) => ("is" in result ? resolve(result) : reject(result));
    });
    calls.signal.addEventListener("abort", this.#abort, { once: true });
    needs.send({ is: "deliver", id: needs.id }, JSON.stringify(delivery));
    if (calls.signal.aborted) this.#abort();
    if (delivery.call === undefined) this.#deadline = setTimeout(() => this.#unfolded(foldMs), foldMs);
    else if (timeoutMs !== undefined) this.#deadline = setTimeout(() => this.#late(timeoutMs), timeoutMs);
  }

  /** The hook has returned. */
  answered({ working }: Extract<FromRunner, { is: "result" }>, body: string): void {
    if (this.#isAnswered) return;
    const said = resultOf(body, this.#needs.delivery);
    this.#answer(this.#lateness === undefined || said.is === "fold-failed" ? said : failed(this.#lateness));
    if (!working) this.end();
    else this.#leaveLater();
  }

  async asked({ ask, question }: Extract<FromRunner, { is: "asked" }>, body: string): Promise<void> {
    const { activity, send } = this.#needs;
    activity.questions++;
    const value = await answerTo(question, argumentsOf(body), this.#bridge, this.calls).catch((error) => ({
      error: codeErrorOf(error),
    }));
    activity.questions--;
    send({ is: "answer", ask }, JSON.stringify(value ?? null));
  }

  /** Nothing of it runs any more, or nobody waits for what does. */
  end(isLeft = false): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.#leaving);
    this.calls.signal.removeEventListener("abort", this.#abort);
    // Work whose end was never told: its context is gone.
    this.#bridge.interrupt("The work ended without a word.");
    this.#answer(failed("The hook ended without a word."));
    this.#needs.over(isLeft);
  }

  /** What it ran in has ended. Whoever runs it says when it is over. */
  interrupt(error: SandboxError): void {
    this.#bridge.interrupt(error.message);
    this.#isAnswered = true;
    this.#settle(error);
  }

  #answer(result: SandboxResult): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.#leaving);
    this.#settle(result);
  }

  readonly #abort = () => {
    const { id, send } = this.#needs;
    send({ is: "abort", id, reason: reasonOf(this.calls.signal) });
    this.#leave(reasonOf(this.calls.signal));
  };

  #late(timeoutMs: number): void {
    const { id, send } = this.#needs;
    this.#lateness = `The hook ran for more than ${timeoutMs} ms, which is its limit.`;
    send({ is: "abort", id, reason: this.#lateness });
    this.#leave(this.#lateness);
  }

  #unfolded(foldMs: number): void {
    const message = `Folding took more than ${foldMs} ms: a schema may wait for something that never comes.`;
    const { events, base } = this.#needs.delivery;
    const offset = events.at(-1)?.offset ?? Math.max(base, 1);
    this.#answer({ is: "fold-failed", offset, error: { name: "Error", message } });
    this.#leaveLater();
  }

  /** When it has not come to its end by then, it may do so where nobody hears of it. */
  #leave(why: string): void {
    if (this.#isAnswered) return;
    clearTimeout(this.#leaving);
    this.#leaving = setTimeout(() => {
      this.#answer(failed(why));
      this.#leaveLater();
    }, graceMs);
  }

  /** No work is open any more, and still its end was not told. */
  #leaveLater(): void {
    if (!this.#isAnswered || this.#isOver || this.#works > 0) return;
    clearTimeout(this.#leaving);
    this.#leaving = setTimeout(() => this.end(true), graceMs);
    this.#leaving.unref();
  }

  /** The signal of each work reaches the one in the isolate. */
  #withWork(calls: SandboxCalls): SandboxCalls {
    const { id, send } = this.#needs;
    return {
      ...calls,
      waitUntil: (name, work) => {
        const ended = calls.waitUntil(name, (tools) => {
          const { signal } = tools;
          const tell = () => send({ is: "abort", id, work: name, reason: reasonOf(signal) });
          signal.addEventListener("abort", tell, { once: true });
          return work(tools).finally(() => signal.removeEventListener("abort", tell));
        });
        if (ended === undefined) return undefined;
        this.#works++;
        const done = () => {
          this.#works--;
          this.#leaveLater();
        };
        ended.then(done, done);
        return ended;
      },
    };
  }
}

export function deedOf({ call, events, base }: SandboxDelivery): Deed {
  const through = events.at(-1)?.offset ?? (call?.hook === "afterAppend" ? call.event?.offset : undefined) ?? base;
  return { what: call === undefined ? "fold" : "call", through };
}

function causeOf(delivery: SandboxDelivery, { path, slug }: SandboxPlace): RunningCall["cause"] {
  const { call, events, base } = delivery;
  const event = (call?.hook === "afterAppend" ? call.event : undefined) ?? events.at(-1);
  return { streamPath: path, offset: event?.offset ?? Math.max(base, 1), depth: event?.source?.depth ?? 0, slug };
}

function failed(message: string): SandboxResult {
  return { is: "hook-failed", error: { name: "Error", message }, passedOver: [] };
}

/** What the code may ask, with the arguments that it chose: each of them is looked at before it is used. */
async function answerTo(
  question: Question,
  args: readonly unknown[],
  bridge: Bridge,
  calls: SandboxCalls,
): Promise<unknown> {
  const [first, second, third] = args;
  if (question === "append") return bridge.append(first, second === undefined ? undefined : nameOf(second));
  if (question === "log") {
    if (levels.has(first)) calls.logger[first as "info"](String(second), third);
    if (first === "left-out" && isCount(second)) calls.logger.leftOut?.(second);
    return undefined;
  }
  const name = nameOf(first);
  switch (question) {
    case "open":
      return bridge.open(name);
    case "begun":
      return (await bridge.begun(name)) !== undefined;
    case "closed":
      return bridge.closed(name, second === undefined ? undefined : codeErrorOf(second));
    case "abort":
      return bridge.abort(name);
  }
}

function isCount(count: unknown): count is number {
  return Number.isSafeInteger(count) && (count as number) > 0 && (count as number) <= leftOutMax;
}

/** @throws Error */
function nameOf(name: unknown): string {
  if (typeof name === "string" && name !== "" && name.length <= nameCharactersMax) return name;
  throw new Error(`The name of work has to be a string of 1 to ${nameCharactersMax} characters.`);
}

function reasonOf({ reason }: AbortSignal): string {
  return reason instanceof Error ? reason.message : String(reason);
}
