/**
 * One consumer of one stream: runs the driver. The driver says what to do next; this does it and reports back. The
 * order of things is in `#loop` alone: one step at a time, until there is nothing to do.
 */
import { type Driver, hear, nextStep, type Step } from "../driver.ts";
import { isStreamError, type StreamError } from "../errors.ts";
import type { StreamEvent } from "../event.ts";
import type { OpenWork } from "../hook.ts";
import { afterCall } from "./after-call.ts";
import { begin } from "./begin.ts";
import { interruptedMessage, tellError, tellHalt } from "./facts.ts";
import { type ElsewhereProcessor, type Folded, isFoldError } from "./folded.ts";
import { messageOf, type Outcome } from "./hook-run.ts";
import { Hooks } from "./hooks.ts";
import type { DeliveryHouse } from "./house.ts";
import { isYetToCome, unloadedAt } from "./inherited.ts";
import { handOver, openFolded, snapshotOf } from "./load.ts";
import { dueAfter, needsCode, owes, type Standing, waits } from "./owing.ts";
import { Preparing } from "./preparing.ts";
import { encodeProgress, isAtRest } from "./progress-row.ts";
import { Resumption } from "./resumption.ts";
import { scan } from "./scan.ts";
import { type Beginning, type ConsumerSpec, type DeliveryKind, type LoadedProcessor, nameOfConsumer } from "./spec.ts";
import { withCode } from "./with-code.ts";

/** When the log could not be read or written, it is looked at again after this time. */
const lookAgainMs = 1_000;

export class Consumer {
  readonly kind: DeliveryKind;
  spec: ConsumerSpec;
  readonly house: DeliveryHouse;
  /** In keys and rows: unique on its stream. */
  readonly name: string;
  /** The life of the stream that it belongs to. */
  readonly streamId: string;
  /** Whatever lies behind this offset came while it was here: nobody acted on it before, in any process. */
  newBehind: number;
  /** When it wants to be called, if nothing happens before. */
  callAt: number | undefined;
  #driver: Driver;
  readonly #from: Beginning;
  #start: "first" | "version" | "again";
  /** Its code and state, once they are needed. */
  #folded: Folded | undefined;
  readonly #hooks: Hooks;
  /** What went wrong and is not on disk as an event: told before anything else is done. */
  #untold: { offset: number; message: string } | undefined;
  /** Since when something is owed that is not done, or not on disk as done. */
  #owedSince: number | undefined;
  #awayTo: number | undefined;
  /** Work came to its end, which is not on disk yet. */
  #hasClosedWork = false;
  /** Names of open work that was cut short, until no hook runs. */
  #cutShort: string[] = [];
  /** What lies up to here is missed, where it was not acted on before; what comes while the code is loaded is not. */
  #missedThrough: number;
  #looping = false;
  #stopped = false;
  #whenStill: (() => void)[] = [];
  readonly #resumption: Resumption;
  readonly #preparing = new Preparing();

  constructor(kind: DeliveryKind, spec: ConsumerSpec, house: DeliveryHouse, from: Beginning) {
    this.kind = kind;
    this.spec = spec;
    this.house = house;
    this.streamId = house.streamId();
    this.name = nameOfConsumer(kind.kind, spec);
    this.newBehind = house.head();
    this.#from = from;
    this.#resumption = new Resumption(house);
    const { start, driver, missedThrough } = begin(kind, spec, house, from);
    this.#start = start;
    this.#driver = driver;
    this.#missedThrough = missedThrough;
    if (house.paused() && !kind.goesOnWhilePaused) this.#hear({ is: "paused" });
    if (spec.halted !== undefined) this.#hear({ is: "halted" });
    this.#hooks = new Hooks(this);
    if (this.#owes()) this.#owedSince = house.clock.now();
    this.#from.stir(this);
  }

  /**
   * It may be forgotten: nothing runs, and nothing that changed waits to be saved. One that waits for its next attempt
   * stays: whoever finds an event behind a cursor that was not written down as exact must take it for begun.
   */
  get idle(): boolean {
    if (this.#untold !== undefined || (this.#owes() && !this.#driver.paused)) return false;
    if (this.#folded?.isHolding() === true) return false;
    return !this.#looping && this.#hooks.works.size === 0 && !this.#driver.dirty && !this.#resumption.isAwaited;
  }

  /** Nothing is owed to it and nothing is to be saved: what most consumers of a stream are at most times. */
  get atRest(): boolean {
    return this.#isYetToCome() || (!this.#driver.dirty && !this.#driver.saveFirst && !this.#owes());
  }

  get driver(): Driver {
    return this.#driver;
  }

  /** How many events behind the head of the stream it is. What it never heard of is not for it. */
  get lag(): number {
    const { progress, head } = this.#driver;
    return progress.cursor >= head ? 0 : this.house.head() - progress.cursor;
  }

  get isRetrying(): boolean {
    return !this.#driver.halted && this.#driver.progress.nextAttemptAt !== undefined;
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
    if (!this.#stopped) this.#folded?.grown?.();
    this.wake();
  }

  /** The stream was loaded again: what it was told since may not be all there is. */
  reloaded(resting: boolean): void {
    this.newBehind = this.house.head();
    // Where the claim is for a next attempt, all that came since waits behind that. The attempt may be done and not yet
    // on disk.
    const { dirty, progress } = this.#driver;
    const rests = resting && !dirty && isAtRest(this.spec, progress);
    if (!rests) this.#hear({ is: "head", head: this.house.head() });
    this.wake();
  }

  /** An event said that it goes no further. */
  halted(spec: ConsumerSpec): void {
    this.spec = spec;
    this.#hear({ is: "halted" });
    this.#hooks.cutShort("The consumer was halted.");
    this.#folded?.close();
  }

  /** Contact was lost for so long that what came meanwhile, up to this head, is missed. */
  away(head: number): void {
    this.#awayTo = Math.max(this.#awayTo ?? 0, head);
    this.wake();
  }

  pause(): void {
    if (this.kind.goesOnWhilePaused) return;
    this.#hear({ is: "paused" });
    // It is written down that nothing begins from here on: then a stream that leaves memory leaves no doubt behind.
    if (!this.#driver.halted && !this.#isYetToCome()) this.#driver = { ...this.#driver, dirty: true };
    this.#hooks.cutShort("The stream was paused.");
    this.wake();
  }

  resume(now: number): void {
    if (this.kind.goesOnWhilePaused) return;
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
    this.#leave();
    this.#hooks.abort(reason, refusal);
    this.#resumption.stop();
    await Promise.all([this.#still(), this.#hooks.works.stop(reason, refusal)]);
    this.#folded?.close();
    // At an orderly end it is written down that nobody needs to wonder what had begun.
    if (this.#owes()) this.#turnTo({ ...this.#driver, dirty: true });
  }

  /** Begins nothing more; what runs has some time to come to its end. Resolves like `stop`. */
  async retire(afterMs: number, reason: string, refusal: StreamError): Promise<void> {
    this.#leave();
    const cancel = this.house.clock.setTimer(afterMs, () => this.#hooks.abort(reason, refusal));
    await this.#still();
    cancel();
    await this.stop(reason, refusal);
  }

  #leave(): void {
    this.#stopped = true;
    this.#preparing.leave();
  }

  #still(): Promise<void> | undefined {
    return this.#looping ? new Promise<void>((resolve) => this.#whenStill.push(resolve)) : undefined;
  }

  /** The row to be saved with a commit that is being formed; undefined when what is on disk is right. */
  row(): { text: string; saved(): void } | undefined {
    if ((!this.#driver.dirty && !this.#driver.saveFirst) || this.#isYetToCome()) return undefined;
    const { progress } = this.#driver;
    const exact = !this.#hooks.running && (this.#stopped || this.#driver.paused);
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
    return snapshot === undefined
      ? undefined
      : { consumer: this.name, ...snapshotOf(this.spec.configuredAt, snapshot) };
  }

  /** When it must be looked at again should the process end now; null for never. */
  dueAfter(rowSaved: boolean, lastAt: number): number | null {
    return dueAfter(this.#driver, this.#owes(), Math.min(this.#owedSince ?? lastAt, lastAt), rowSaved);
  }

  /** Its next attempt is known, and what came behind waits for that. */
  waits(rowSaved: boolean): boolean {
    return waits(this.#driver, rowSaved);
  }

  /** What another version of it goes on from. */
  handOver(): string | undefined {
    return this.#isYetToCome() ? this.#from.row : encodeProgress(this.spec, this.#driver.progress, true);
  }

  /** Its processor, whether or not it is needed here. */
  code(left?: AbortSignal): Promise<LoadedProcessor | ElsewhereProcessor> {
    return this.#from.load(this.spec, this.#driver.progress.cursor, left);
  }

  stateNow(): unknown {
    return this.#folded?.value;
  }

  get folded(): Folded | undefined {
    return this.#folded;
  }

  /** False when an unclean end ended it before: then it is not run again by itself. */
  workBegins(work: OpenWork): boolean {
    const { spent = [] } = this.#driver.progress;
    if (spent.some(({ name, offset }) => name === work.name && offset === work.offset)) return false;
    this.#hear({ is: "workOpened", work });
    return true;
  }

  /** @param settled nobody needs to be told of it any more */
  workEnded(name: string, settled: boolean): void {
    if (settled) {
      this.#hear({ is: "workClosed", name });
      this.#hasClosedWork = true;
      this.house.saveSoon();
    }
    // What an orderly stop cut short is left open on disk: the next start finds it.
    else if (!this.#stopped) this.#cutShort.push(name);
    this.wake();
  }

  tell(offset: number, message: string, work?: OpenWork): Promise<void> {
    return tellError(this, offset, message, work);
  }

  async #loop(): Promise<void> {
    try {
      while (!this.#stopped) {
        if (this.#awayTo !== undefined) {
          const head = this.#awayTo;
          this.#awayTo = undefined;
          if (this.kind.misses) this.#missedThrough = head;
          this.#hear({ is: "away", head });
        }
        for (const name of this.#cutShort.splice(0)) this.#hear({ is: "workInterrupted", name });
        if (this.#untold !== undefined) {
          await this.#tellUntold(this.#untold);
          continue;
        }
        // Nothing begins behind a pause before afterCatchUp has heard what that cut short; so its grace is waited for.
        const { leaving } = this.#hooks.works;
        if (leaving !== undefined && !this.#driver.paused) {
          await leaving;
          continue;
        }
        if (this.#folded === undefined && needsCode(this.#standing(), this.house.clock.now())) {
          await this.#load();
          continue;
        }
        const step = nextStep(this.#driver, this.house.clock.now());
        if (step.do === "rest") {
          const settling = this.#driver.halted ? undefined : this.#folded?.settle?.();
          if (settling !== undefined) {
            await this.#folding(settling);
            continue;
          }
          this.#rest(step.until);
          break;
        }
        const doing = this.#perform(step);
        if (doing !== undefined) await doing;
      }
    } catch (error) {
      // The log could not be read or written. What is on disk is right, and is looked at again.
      this.house.onFailure(error);
      const asked = isStreamError(error, "unavailable") ? error.data.retryAfterSeconds * 1_000 : 0;
      this.#callAt(this.house.clock.now() + Math.max(lookAgainMs, asked));
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
        return this.#fold(step.events);
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

  /** The driver starts anew, now that it is known whether there is an afterCatchUp. */
  async #load(): Promise<void> {
    try {
      const code = await this.#preparing.load((left) => this.code(left));
      this.#folded = await openFolded(this, code, this.#driver.progress.cursor);
    } catch (error) {
      // What it lacked may have gone because of what stopped it, as with a deletion.
      if (this.#stopped) return;
      if (isStreamError(error, "unavailable")) throw error;
      const message = `The ${this.kind.kind} could not be loaded: ${messageOf(error)}`;
      return this.#hear({ is: "foldFailed", offset: unloadedAt(this), message });
    }
    const { decides, offset: folded } = this.#folded;
    const known = { start: this.#start, misses: this.kind.misses === true, missedThrough: this.#missedThrough };
    this.#turnTo(withCode(this.#driver, { ...known, folded, decides }));
    this.#start = "again";
  }

  #rest(until: number | undefined): void {
    if (!this.#owes() && !this.#driver.dirty) this.#owedSince = undefined;
    if (this.#hasClosedWork) this.#saveClosedWork();
    else this.house.saveSoon();
    if (until !== undefined) this.#callAt(until);
  }

  /**
   * Until it is on disk, an unclean end would take finished work for interrupted. Only here does the cursor stand behind
   * what the work appended; where a hook runs for long, it is saved a little later all the same.
   */
  #saveClosedWork(): void {
    this.#hasClosedWork = false;
    this.house.save().catch((error) => this.house.onFailure(error));
  }

  #callAt(at: number): void {
    this.callAt = at;
    this.house.callMe(at);
  }

  async #scan(after: number, through: number): Promise<void> {
    const scanned = await scan(this, after, through);
    if ("fault" in scanned) {
      this.#hear({ is: "foldFailed", offset: scanned.offset, message: scanned.fault });
      return;
    }
    this.#hear({ is: "scanned", ...scanned });
    if (this.#driver.waiting.length === 0) this.#folded?.through(scanned.through);
  }

  #fold(events: readonly StreamEvent[]): Promise<void> | undefined {
    const { through, folding, failed } = handOver(this.#folded as Folded, events);
    if (through !== undefined) this.#hear({ is: "folded", offset: through });
    if (failed !== undefined) this.#foldFailed(failed);
    return folding === undefined ? undefined : this.#folding(folding);
  }

  async #folding(folding: Promise<void>): Promise<void> {
    const failed = await this.#preparing.fold(folding);
    if (failed !== undefined) this.#foldFailed(failed);
  }

  #foldFailed(error: unknown): void {
    if (!isFoldError(error)) throw error;
    this.#hear({ is: "foldFailed", offset: error.offset, message: error.message });
  }

  async #act(event: StreamEvent, attempt: number): Promise<void> {
    const outcome = await this.#hooks.act(this.#folded as Folded, event, attempt);
    await this.#after(outcome, event);
  }

  async #catchUp(step: Extract<Step, { do: "catchUp" }>): Promise<void> {
    const folded = this.#folded as Folded;
    const { cursor } = this.#driver.progress;
    // Nobody else would hear of it.
    const unheard = folded.decides ? [] : (step.interrupted?.work ?? []);
    for (const work of unheard) await this.tell(work.offset, interruptedMessage(work), work);
    await this.#after(await this.#hooks.catchUp(folded, step), { offset: Math.max(cursor, 1) });
  }

  async #after(outcome: Outcome, about: StreamEvent | { offset: number }): Promise<void> {
    const { clock, random, meter } = this.house;
    const isCut = this.#stopped || this.#driver.paused;
    const { silentAboutReports } = this.kind;
    const situation = { isCut, clock, random, silentAboutReports };
    const { heard, message, isFailure, waitsFor } = afterCall(outcome, about, situation);
    if (isFailure === true) meter.hookFailures++;
    if (waitsFor !== undefined) this.#resumption.awaitOf(waitsFor, () => this.#isDue());
    this.#hear(heard);
    if (message !== undefined) await this.#tellUntold({ offset: about.offset, message });
  }

  /**
   * The driver has heard of it before: so one commit takes what is told and the progress, and should that fail, nothing
   * is called again before both are on disk.
   */
  async #tellUntold(untold: { offset: number; message: string }): Promise<void> {
    this.#untold = untold;
    await this.tell(untold.offset, untold.message);
    this.#untold = undefined;
  }

  #isDue(): void {
    this.#hear({ is: "due" });
    this.wake();
  }

  async #halt(step: Extract<Step, { do: "halt" }>): Promise<void> {
    await tellHalt(this, step);
    this.house.meter.halts++;
    this.#hear({ is: "halted" });
    this.#hooks.cutShort("The consumer was halted.");
  }

  #owes(): boolean {
    return owes(this.#standing());
  }

  #standing(): Standing {
    return {
      driver: this.#driver,
      running: this.#hooks.running,
      hasToBegin: this.#start !== "again",
      isYetToCome: this.#isYetToCome(),
    };
  }

  #isYetToCome(): boolean {
    return this.#start !== "again" && isYetToCome(this.spec, this.#driver);
  }

  #skipTo(offset: number): void {
    this.#hear({ is: "head", head: offset });
    this.#hear({ is: "scanned", through: offset, events: [] });
    this.#folded?.through(offset);
  }

  #hear(heard: Parameters<typeof hear>[1]): void {
    this.#turnTo(hear(this.#driver, heard));
  }

  #turnTo(driver: Driver): void {
    this.#driver = driver;
    this.#from.stir(this);
  }
}
