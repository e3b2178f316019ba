/**
 * One consumer of one stream: runs the driver. The driver says what to do next; this does it and reports back. The
 * order of things is in `#loop` alone: one step at a time, until there is nothing to do.
 */
import {
  type Driver,
  hear,
  isStreamError,
  nextStep,
  type OpenWork,
  type Progress,
  type Step,
  type StreamError,
  type StreamEvent,
  startDriver,
  type Work,
} from "@millrace/protocol";
import { type AppendedBefore, Call, type CallPurpose } from "./call.ts";
import { type FoldedState, loadState } from "./folded-state.ts";
import { messageOf, type Outcome, runHook } from "./hook-run.ts";
import type { ConsumerHouse, Fact } from "./house.ts";
import { createOpenWorks, type OpenWorks } from "./open-works.ts";
import { encodeProgress, startFrom } from "./progress-row.ts";
import type { ConsumerKind, ConsumerSpec } from "./spec.ts";

/** When the log could not be read or written, it is looked at again after this time. */
const lookAgainMs = 1_000;
const messageCharactersMax = 4_096;

export class Consumer {
  readonly kind: ConsumerKind;
  spec: ConsumerSpec;
  readonly house: ConsumerHouse;
  /** In keys and rows: unique on its stream. */
  readonly name: string;
  /** The life of the stream that it belongs to. */
  readonly streamId: string;
  /** When it wants to be called, if nothing happens before. */
  callAt: number | undefined;
  #driver: Driver;
  #start: "first" | "version" | "again";
  /** Its code and state, once they are needed. */
  #folded: FoldedState | undefined;
  readonly #works: OpenWorks;
  /** Since when something is owed that is not done, or not on disk as done. */
  #owedSince: number | undefined;
  #looping = false;
  #stopped = false;
  #call: Call | undefined;
  #before: { key: string; appended: readonly AppendedBefore[] } = { key: "", appended: [] };
  #whenStill: (() => void)[] = [];
  #stopWaiting: (() => void) | undefined;

  /** @param resting nothing is owed to it, so what lies between its cursor and the head is not for it */
  constructor(
    kind: ConsumerKind,
    spec: ConsumerSpec,
    house: ConsumerHouse,
    from: { row: string | undefined; resting: boolean },
  ) {
    this.kind = kind;
    this.spec = spec;
    this.house = house;
    this.streamId = house.streamId();
    this.name = `${kind.kind}/${encodeURIComponent(spec.slug)}`;
    const { start, progress } = startFrom(spec, from.row);
    const head = house.head();
    this.#start = start;
    this.#driver = startDriver(
      { misses: false, decides: false, failuresMax: kind.failuresMax },
      {
        start,
        progress: from.resting && start === "again" && isAtRest(spec, progress) ? overHead(progress, head) : progress,
        head,
        folded: 0,
      },
    );
    if (house.paused()) this.#hear({ is: "paused" });
    if (spec.halted !== undefined) this.#hear({ is: "halted" });
    this.#works = createOpenWorks(this);
    if (this.#owes()) this.#owedSince = house.clock.now();
  }

  /** It may be forgotten: nothing runs, and nothing that changed waits to be saved. */
  get idle(): boolean {
    return !this.#looping && this.#works.size === 0 && !this.#driver.dirty && this.#stopWaiting === undefined;
  }

  get driver(): Driver {
    return this.#driver;
  }

  /** Goes on, if it does not already. */
  wake(): void {
    if (this.#looping || this.#stopped) return;
    this.#looping = true;
    void this.#loop();
  }

  /** The log has grown from `base` to `head`, and something of it is for this consumer. */
  published(base: number, head: number, now: number): void {
    // It hears of all that is for it. So when it has done all that it heard of, nothing up to here is.
    const { progress, head: heard, waiting } = this.#driver;
    if (this.spec.types !== undefined && progress.cursor >= heard && waiting.length === 0) this.#skipTo(base);
    this.#hear({ is: "head", head });
    if (this.#driver.halted || this.#driver.paused) return;
    this.#owedSince ??= now;
    this.wake();
  }

  /** The stream was loaded again: what it was told since may not be all there is. */
  reloaded(resting: boolean): void {
    if (!resting) this.#hear({ is: "head", head: this.house.head() });
    this.wake();
  }

  /** An event said that it goes no further. */
  halted(spec: ConsumerSpec): void {
    this.spec = spec;
    this.#hear({ is: "halted" });
    this.#abort("The consumer was halted.");
  }

  pause(): void {
    this.#hear({ is: "paused" });
    this.#abort("The stream was paused.");
    void this.#works.stop("The stream was paused.", undefined);
    this.wake();
  }

  resume(now: number): void {
    this.#hear({ is: "resumed" });
    if (this.#owes()) this.#owedSince ??= now;
    this.wake();
  }

  /** The time that it asked for has come. */
  called(now: number): void {
    if (this.callAt === undefined || this.callAt > now) return;
    this.callAt = undefined;
    this.wake();
  }

  /** Ends what runs. Resolves when nothing runs any more, or is left behind. */
  async stop(reason: string, refusal?: StreamError): Promise<void> {
    this.#stopped = true;
    this.#abort(reason, refusal);
    this.#stopWaiting?.();
    this.#stopWaiting = undefined;
    await Promise.all([this.#still(), this.#works.stop(reason, refusal)]);
    // At an orderly end it is written down that nobody needs to wonder what had begun.
    if (this.#owes()) this.#driver = { ...this.#driver, dirty: true };
  }

  /** Begins nothing more; what runs has some time to come to its end. Resolves like `stop`. */
  async retire(afterMs: number, reason: string, refusal: StreamError): Promise<void> {
    this.#stopped = true;
    const cancel = this.house.clock.setTimer(afterMs, () => this.#abort(reason, refusal));
    await this.#still();
    cancel();
    await this.stop(reason, refusal);
  }

  #still(): Promise<void> | undefined {
    return this.#looping ? new Promise<void>((resolve) => this.#whenStill.push(resolve)) : undefined;
  }

  /** The row to be saved with a commit that is being formed; undefined when what is on disk is right. */
  row(): { text: string; saved(): void } | undefined {
    if (!this.#driver.dirty && !this.#driver.saveFirst) return undefined;
    const { progress } = this.#driver;
    const exact = this.#call === undefined && (this.#stopped || this.#driver.paused);
    return {
      text: encodeProgress(this.spec, progress, exact),
      saved: () => {
        this.#hear({ is: "saved", progress });
        if (!this.#owes() && !this.#driver.dirty) this.#owedSince = undefined;
      },
    };
  }

  snapshot(): { consumer: string; offset: number; state: string } | undefined {
    const snapshot = this.#driver.waiting.length > 0 ? undefined : this.#folded?.snapshot();
    return snapshot === undefined ? undefined : { consumer: this.name, ...snapshot };
  }

  /** When it must be looked at again should the process end now; null for never. */
  dueAfter(rowSaved: boolean, lastAt: number): number | null {
    const { halted, paused, dirty, saveFirst, progress } = this.#driver;
    if (halted || paused) return null;
    if (!this.#owes() && (rowSaved || !dirty)) return null;
    const since = Math.min(this.#owedSince ?? lastAt, lastAt);
    // That it waits for its next attempt counts once it is on disk: until then it would be taken for one that rests.
    const waits = this.#call === undefined && (rowSaved || !(dirty || saveFirst));
    return waits ? Math.max(progress.nextAttemptAt ?? since, since) : since;
  }

  /** What another version of it goes on from. */
  handOver(): string {
    return encodeProgress(this.spec, this.#driver.progress, true);
  }

  stateNow(): unknown {
    return this.#folded?.value;
  }

  get folded(): FoldedState | undefined {
    return this.#folded;
  }

  /** False when an unclean end ended it before: then it is not run again by itself. */
  workBegins(work: OpenWork): boolean {
    const { spent = [] } = this.#driver.progress;
    if (spent.some(({ name, offset }) => name === work.name && offset === work.offset)) return false;
    this.#hear({ is: "workOpened", work });
    return true;
  }

  workEnded(name: string, completed: boolean): void {
    // What an orderly stop cut short is left open on disk: the next start finds it.
    if (completed || !this.#stopped) this.#hear({ is: "workClosed", name });
    this.wake();
  }

  /** One event at most for each place, however often it fails there. */
  async tell(offset: number, message: string): Promise<void> {
    const { kind, slug } = { kind: this.kind.kind, slug: this.spec.slug };
    const payload = { message: message.slice(0, messageCharactersMax), about: { kind, slug, offset } };
    const event = { type: "https://events.iterate.com/events/stream/error-occurred", payload };
    await this.#state({ key: this.#factKey(`${offset}/error`), event, offset, slug });
  }

  async #loop(): Promise<void> {
    try {
      while (!this.#stopped) {
        if (this.#needsCode()) {
          await this.#load();
          continue;
        }
        const step = nextStep(this.#driver, this.house.clock.now());
        if (step.do === "rest") {
          this.#rest(step.until);
          break;
        }
        const doing = this.#perform(step);
        if (doing !== undefined) await doing;
      }
    } catch (error) {
      // The log could not be read or written. What is on disk is right, and is looked at again.
      this.house.onFailure(error);
      this.#callAt(this.house.clock.now() + lookAgainMs);
    } finally {
      this.#looping = false;
      for (const resolve of this.#whenStill.splice(0)) resolve();
    }
  }

  #perform(step: Exclude<Step, { do: "rest" }>): Promise<void> | undefined {
    switch (step.do) {
      case "scan":
        return this.#scan(step.after, step.through);
      case "fold":
        this.#fold(step.event);
        return undefined;
      case "save":
        return this.house.save();
      case "act":
        return this.#act(step.event, step.attempt);
      case "catchUp":
        return this.#catchUp(step);
      case "halt":
        return this.#halt(step);
    }
  }

  #needsCode(): boolean {
    const { halted, paused, fault } = this.#driver;
    if (this.#folded !== undefined || halted || fault !== undefined) return false;
    // While the stream is paused nothing is called, but what is only to be reduced may stand next.
    if (paused) return nextStep(this.#driver, this.house.clock.now()).do === "fold";
    if (this.#start !== "again") return true;
    const { do: next } = nextStep(this.#driver, Number.POSITIVE_INFINITY);
    return next !== "rest" && next !== "save" && next !== "halt";
  }

  /** The driver starts anew, now that it is known whether there is an afterCatchUp. */
  async #load(): Promise<void> {
    try {
      const processor = await this.kind.load(this.spec, this.house);
      const { cursor } = this.#driver.progress;
      this.#folded = await loadState(processor, this.house, this.spec, { name: this.name, cursor });
    } catch (error) {
      if (isStreamError(error, "unavailable")) throw error;
      const message = `The processor could not be loaded: ${messageOf(error)}`;
      this.#hear({ is: "foldFailed", offset: this.spec.configuredAt, message });
      return;
    }
    const { processor, offset } = this.#folded;
    const settings = { ...this.#driver.settings, decides: processor.afterCatchUp !== undefined };
    // Whatever was heard while the code was loaded counts.
    const { progress, head, paused, halted, uncertain, saveFirst } = this.#driver;
    const known: Progress = uncertain ? progress : { ...progress, exact: true };
    const start = { start: this.#start, progress: known, head, folded: offset };
    // A first start is on disk when it is over: the next one is a mere restart.
    this.#driver = { ...startDriver(settings, start), saveFirst, paused, halted, dirty: this.#start !== "again" };
    this.#start = "again";
  }

  #rest(until: number | undefined): void {
    if (!this.#owes() && !this.#driver.dirty) this.#owedSince = undefined;
    this.house.saveSoon();
    if (until !== undefined) this.#callAt(until);
  }

  #callAt(at: number): void {
    this.callAt = at;
    this.house.callMe(at);
  }

  async #scan(after: number, through: number): Promise<void> {
    const page = await this.house.read(after, through, this.spec.types);
    const events = page.events.map((event) => ({ event, act: !isAbout(event, this.kind, this.spec.slug) }));
    this.#hear({ is: "scanned", through: page.through, events });
    if (this.#driver.waiting.length === 0) this.#folded?.through(page.through);
  }

  #fold(event: StreamEvent): void {
    try {
      (this.#folded as FoldedState).fold(event);
      this.#hear({ is: "folded", offset: event.offset });
    } catch (error) {
      this.#hear({ is: "foldFailed", offset: event.offset, message: `reduce failed: ${messageOf(error)}` });
    }
  }

  async #act(event: StreamEvent, attempt: number): Promise<void> {
    const { processor, value } = this.#folded as FoldedState;
    const { afterAppend } = processor;
    if (afterAppend === undefined) return this.#hear({ is: "returned" });
    const { streamPath, offset, source } = event;
    const purpose = { key: String(offset), cause: { streamPath, offset }, depth: source?.depth ?? 0 };
    await this.#run(purpose, (call) => afterAppend({ event, attempt, state: value, ...this.#tools(call, purpose) }));
  }

  async #catchUp({ missed, interrupted }: Extract<Step, { do: "catchUp" }>): Promise<void> {
    const { processor, value } = this.#folded as FoldedState;
    const { afterCatchUp } = processor;
    const streamPath = this.house.path;
    const offset = this.#driver.progress.cursor;
    if (afterCatchUp === undefined) {
      for (const work of interrupted?.work ?? []) await this.tell(work.offset, interruptedMessage(work));
      return this.#hear({ is: "returned" });
    }
    const purpose = { key: `catch-up-${offset}`, cause: { streamPath, offset }, depth: 0 };
    const what = { ...(missed && { missed }), ...(interrupted && { interrupted }) };
    await this.#run(purpose, (call) =>
      afterCatchUp({ streamPath, state: value, ...what, ...this.#tools(call, purpose) }),
    );
  }

  #tools(call: Call, { cause, depth }: Pick<CallPurpose, "cause" | "depth">) {
    return {
      append: call.append,
      signal: call.controller.signal,
      // biome-ignore lint/suspicious/noExplicitAny: the state is the processor's own
      waitUntil: (name: string, work: Work<any>) => this.#works.open(name, work, cause, depth),
      abort: (name: string) => this.#works.abort(name),
    };
  }

  async #run(purpose: Omit<CallPurpose, "before">, hook: (call: Call) => void | Promise<void>): Promise<void> {
    const { clock, meter } = this.house;
    const before = this.#before.key === purpose.key ? this.#before.appended : [];
    const call = new Call(this, { ...purpose, before });
    this.#call = call;
    const began = clock.elapsedMs();
    const outcome = await runHook(call, clock, () => hook(call));
    meter.hooks++;
    meter.hookMs += clock.elapsedMs() - began;
    this.#call = undefined;
    this.#before = { key: purpose.key, appended: longer(before, call.appended) };
    await this.#after(outcome, purpose.cause.offset);
  }

  async #after(outcome: Outcome, offset: number): Promise<void> {
    if (outcome.is === "returned") return this.#hear({ is: "returned" });
    if (outcome.is === "diverged") {
      await this.tell(offset, outcome.message);
      return this.#hear({ is: "diverged" });
    }
    if (this.#stopped || this.#driver.paused) return this.#hear({ is: "ended" });
    const { message, costs, pausedPath } = outcome;
    const { clock, random, meter } = this.house;
    meter.hookFailures++;
    if (pausedPath !== undefined) this.#waitFor(pausedPath);
    if (costs) await this.tell(offset, message);
    this.#hear({ is: "failed", message, now: clock.now(), jitter: random.fraction(), costs });
  }

  /** The other stream was resumed: no more waiting. Should that be missed, the ladder comes to it as well. */
  #waitFor(path: string): void {
    this.#stopWaiting?.();
    this.#stopWaiting = this.house.onResumed(path, () => {
      this.#stopWaiting = undefined;
      this.#hear({ is: "due" });
      this.wake();
    });
  }

  async #halt({ offset, message, attempts }: Extract<Step, { do: "halt" }>): Promise<void> {
    const { slug, configuredAt, resumedAt } = this.spec;
    const halt = { offset, message: message.slice(0, messageCharactersMax), attempts };
    const event = { type: this.kind.haltedType, payload: {}, ...this.kind.halted(this.spec, halt) };
    await this.#state({ key: this.#factKey(`halted/${configuredAt}/${resumedAt}`), event, offset, slug });
    this.house.meter.halts++;
    this.#hear({ is: "halted" });
  }

  #state(fact: Omit<Fact, "streamId">): Promise<void> {
    return this.house.state({ ...fact, streamId: this.streamId });
  }

  #factKey(what: string): string {
    return `d:${this.name}/${this.spec.epoch}/${this.streamId}/${what}`;
  }

  /** Something is to be done, now or later: an event, a decision, work that is open. */
  #owes(): boolean {
    const { halted, fault, head, progress } = this.#driver;
    if (halted) return false;
    if (this.#call !== undefined || fault !== undefined || progress.cursor < head) return true;
    return this.#start !== "again" || progress.catchUp !== undefined || progress.work.length > 0;
  }

  #skipTo(offset: number): void {
    this.#hear({ is: "head", head: offset });
    this.#hear({ is: "scanned", through: offset, events: [] });
    this.#folded?.through(offset);
  }

  #abort(reason: string, refusal?: StreamError): void {
    if (refusal !== undefined) this.#call?.close(refusal);
    this.#call?.controller.abort(new Error(reason));
  }

  #hear(heard: Parameters<typeof hear>[1]): void {
    this.#driver = hear(this.#driver, heard);
  }
}

/** Nothing of it waits for its next attempt or a resumption: then what lies behind its cursor is not for it. */
function isAtRest({ halted }: ConsumerSpec, { begun, nextAttemptAt, work, catchUp }: Progress): boolean {
  return (
    halted === undefined && begun === 0 && nextAttemptAt === undefined && work.length === 0 && catchUp === undefined
  );
}

/** A cursor that began behind the head, because somebody said so, stays where it is. */
function overHead(progress: Progress, head: number): Progress {
  return { ...progress, cursor: Math.max(progress.cursor, head) };
}

function interruptedMessage({ name }: OpenWork): string {
  return `The work "${name}" was interrupted by the end of the process. It is not run again by itself.`;
}

function longer(a: readonly AppendedBefore[], b: readonly AppendedBefore[]): readonly AppendedBefore[] {
  return a.length > b.length ? a : b;
}

/** Errors and halts of a consumer are folded by everyone, and never acted on by the one that they name. */
function isAbout({ type, payload }: StreamEvent, { kind, haltedType }: ConsumerKind, slug: string): boolean {
  if (type === haltedType) return fieldOf(payload, "slug") === slug;
  const about = fieldOf(payload, "about");
  return fieldOf(about, "kind") === kind && fieldOf(about, "slug") === slug;
}

function fieldOf(value: unknown, field: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[field] : undefined;
}
