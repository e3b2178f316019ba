/** The calls of one consumer's hooks: one at a time, and beside them the work that they left open. */
import type { Step } from "../driver.ts";
import type { StreamError } from "../errors.ts";
import type { StreamEvent } from "../event.ts";
import type { Work } from "../hook.ts";
import { type AppendedBefore, Call, type CallPurpose } from "./call.ts";
import type { Consumer } from "./consumer.ts";
import type { Folded } from "./folded.ts";
import { type Outcome, runHook } from "./hook-run.ts";
import { createOpenWorks, type OpenWorks } from "./open-works.ts";

const returned: Outcome = { is: "returned" };

export class Hooks {
  readonly works: OpenWorks;
  readonly #consumer: Consumer;
  #call: Call | undefined;
  /** The running call was ended from outside. */
  #ended = false;
  /** What an earlier call for the same event appended: another attempt has to do the same. */
  #before: { key: string; appended: readonly AppendedBefore[] } = { key: "", appended: [] };

  constructor(consumer: Consumer) {
    this.#consumer = consumer;
    this.works = createOpenWorks(consumer);
  }

  get running(): boolean {
    return this.#call !== undefined;
  }

  async act(folded: Folded, event: StreamEvent, attempt: number): Promise<Outcome> {
    const { streamPath, offset, source } = event;
    const cause = { streamPath, offset };
    // Where a cursor was not saved, what lies behind it had been acted on.
    const isFirst = attempt === 1 && offset > this.#consumer.newBehind;
    const purpose = { key: String(offset), cause, depth: source?.depth ?? 0, isFirst };
    return this.#run(purpose, (call) => folded.afterAppend({ event, attempt, ...this.#tools(call, purpose) }));
  }

  async catchUp(folded: Folded, { missed, interrupted }: Extract<Step, { do: "catchUp" }>): Promise<Outcome> {
    const { spec, house, driver } = this.#consumer;
    if (!folded.decides) return returned;
    const streamPath = house.path;
    const { cursor, decided = 0 } = driver.progress;
    // Another version, and another decision of the same one, is no repetition.
    const key = `catch-up-${spec.configuredAt}-${decided}`;
    // Where nothing was before, it is for the first event.
    const purpose = { key, cause: { streamPath, offset: Math.max(cursor, 1) }, depth: 0, isFirst: false };
    const what = { ...(missed && { missed }), ...(interrupted && { interrupted }) };
    return this.#run(purpose, (call) => folded.afterCatchUp({ streamPath, ...what, ...this.#tools(call, purpose) }));
  }

  /** Ends the running call. With a refusal nothing that it still appends is taken. */
  abort(reason: string, refusal?: StreamError): void {
    if (refusal !== undefined) this.#call?.close(() => refusal);
    this.#call?.controller.abort(new Error(reason));
    this.#ended = true;
  }

  /** Ends the running call and all open work, which have some time to come to their ends. */
  cutShort(reason: string): void {
    this.abort(reason);
    void this.works.stop(reason, undefined);
  }

  #tools(call: Call, { cause, depth }: Pick<CallPurpose, "cause" | "depth">) {
    const { house, spec } = this.#consumer;
    return {
      append: call.append,
      ...house.surroundings({ slug: spec.slug, offset: cause.offset }),
      signal: call.controller.signal,
      // biome-ignore lint/suspicious/noExplicitAny: the state is the processor's own
      waitUntil: (name: string, work: Work<any>) => this.works.open(name, work, cause, depth),
      abort: (name: string) => this.works.abort(name),
    };
  }

  async #run(purpose: Omit<CallPurpose, "before">, hook: (call: Call) => void | Promise<void>): Promise<Outcome> {
    const { clock, meter } = this.#consumer.house;
    const before = this.#before.key === purpose.key ? this.#before.appended : [];
    const call = new Call(this.#consumer, { ...purpose, before });
    this.#call = call;
    this.#ended = false;
    const began = clock.elapsedMs();
    const outcome = await runHook(call, clock, () => hook(call));
    meter.hooks++;
    meter.hookMs += clock.elapsedMs() - began;
    this.#call = undefined;
    this.#before = { key: purpose.key, appended: longer(before, call.appended) };
    // By now the stream may be resumed: still it was not the hook that failed.
    return this.#ended && (outcome.is === "failed" || outcome.is === "hopeless") ? { is: "ended" } : outcome;
  }
}

function longer(a: readonly AppendedBefore[], b: readonly AppendedBefore[]): readonly AppendedBefore[] {
  return a.length > b.length ? a : b;
}
