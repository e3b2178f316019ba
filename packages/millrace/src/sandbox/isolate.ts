/** One isolate in one process: code that is loaded, and the deliveries that run in it. It ends once. */
import {
  type SandboxCalls,
  type SandboxDelivery,
  type SandboxDescription,
  SandboxError,
  type SandboxPlace,
  type SandboxResult,
} from "@millrace/engine";
import { cpuMsDefault } from "./activities.ts";
import type { Activity, Deed } from "./activity.ts";
import { Delivery, deedOf, type RunningCall } from "./delivery.ts";
import type { Line } from "./line.ts";
import type { FromRunner, LoadMessage } from "./messages.ts";
import type { WorkerdProcess } from "./workerd-process.ts";

const cpuMsMax = 5_000;
/** A large state takes its time to be read, looked at and written, whatever the code does: so much for each Mi characters. */
const cpuMsOfState = 100;
/** A module that waits for something at its top level waits for ever. */
const loadMs = 30_000;
/** The end of a connection is heard a little before that of its process, which says why. */
const endMs = 1_000;

export interface IsolateNeeds {
  process: WorkerdProcess;
  load: LoadMessage;
  /** Numbers of deliveries, unlike any other of the same server. */
  nextId(): number;
}

type Loaded = Extract<FromRunner, { is: "loaded" | "load-failed" }>;

/** Whose code runs, on which stream. */
export interface Tenant {
  /** Names it among all. */
  suspect: string;
  /** Names its code, which others may have as well: how that loads is no matter of a stream. */
  code: string;
  place: SandboxPlace;
}

export class Isolate {
  readonly process: WorkerdProcess;
  readonly #needs: IsolateNeeds;
  readonly #running = new Map<number, Delivery>();
  /** By delivery: what was left behind, and tells its end when it comes to one. */
  readonly #left = new Map<number, () => void>();
  #line: Line | undefined;
  #ended: SandboxError | undefined;
  #heardLoad: (message: Loaded | undefined) => void = () => {};
  #tellEnd: () => void = () => {};
  #tellRest: (() => void)[] = [];
  usedAt: number = performance.now();
  /** Of the largest that it was given. */
  #stateCharacters = 0;

  /** Rejects with SandboxError, by when it is known whether the process has ended, and why. */
  static async open(
    needs: IsolateNeeds,
    tenant: Tenant,
  ): Promise<{ isolate: Isolate; description: SandboxDescription }> {
    const isolate = new Isolate(needs);
    return { isolate, description: await isolate.#load(tenant) };
  }

  private constructor(needs: IsolateNeeds) {
    this.#needs = needs;
    this.process = needs.process;
  }

  /** Resolves at its end, however that came. */
  readonly ended: Promise<void> = new Promise((resolve) => {
    this.#tellEnd = resolve;
  });

  get hasEnded(): boolean {
    return this.#ended !== undefined;
  }

  /** Deliveries, and work that they left behind. */
  get isBusy(): boolean {
    return this.#running.size > 0;
  }

  /** Resolves when nothing runs in it. */
  atRest(): Promise<void> {
    return this.isBusy ? new Promise((resolve) => this.#tellRest.push(resolve)) : Promise.resolve();
  }

  /** For whom a request is made that names this delivery. */
  callOf(id: number): RunningCall | undefined {
    return this.#running.get(id);
  }

  /** Rejects with SandboxError, by when it is known whether the process has ended, and why. */
  async deliver(delivery: SandboxDelivery, calls: SandboxCalls, tenant: Tenant): Promise<SandboxResult> {
    if (this.process.held !== undefined) await this.process.held;
    if (this.#ended !== undefined) throw this.#ended;
    this.usedAt = performance.now();
    const id = this.#needs.nextId();
    this.#stateCharacters = Math.max(this.#stateCharacters, delivery.given?.length ?? 0);
    const activity = this.#activity(tenant.suspect, deedOf(delivery));
    const over = this.process.begin(activity);
    const { timeoutMs } = this.#needs.load.limits ?? {};
    const running = new Delivery({
      id,
      delivery,
      calls,
      place: tenant.place,
      activity,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      send: (message, body) => this.#line?.send(message, body),
      over: (isLeft) => {
        if (isLeft) this.#leave(id, activity, over);
        else over();
        this.#running.delete(id);
        this.usedAt = performance.now();
        if (!this.isBusy) for (const tell of this.#tellRest.splice(0)) tell();
      },
    });
    this.#running.set(id, running);
    return running.result;
  }

  forget(state: string): void {
    this.#line?.send({ is: "forget", state });
  }

  /** Unloads it. What still runs is interrupted. */
  close(message = "It was unloaded."): void {
    this.#end(new SandboxError("interrupted", message));
    this.#line?.close();
  }

  async #load(tenant: Tenant): Promise<SandboxDescription> {
    const over = this.process.begin(this.#activity(tenant.code, { what: "load", through: 0 }));
    const tooLong = setTimeout(() => this.#heardLoad({ is: "load-failed", error: neverLoaded }), loadMs);
    try {
      const heard = new Promise<Loaded | undefined>((resolve) => (this.#heardLoad = resolve));
      this.#line = await this.process.open((message, body) => this.#hear(message, body));
      void this.#line.closed.then(() => this.#lost());
      this.#line.send(this.#needs.load);
      const loaded = await heard;
      if (loaded === undefined) throw new SandboxError("interrupted", "The sandbox ended while the code was loaded.");
      this.usedAt = performance.now();
      if (loaded.is === "loaded") return loaded.description;
      this.close();
      throw Object.assign(new SandboxError("code", loaded.error.message), { codeError: loaded.error });
    } catch (error) {
      if (error instanceof SandboxError) throw error;
      await this.#endOfProcess();
      throw new SandboxError("interrupted", `The sandbox was not reached: ${(error as Error).message}`);
    } finally {
      clearTimeout(tooLong);
      over();
    }
  }

  async #lost(): Promise<void> {
    await this.#endOfProcess();
    this.#end(new SandboxError("interrupted", "The sandbox ended."));
    this.#heardLoad(undefined);
  }

  /** By then it is known who is suspected of it. It may also be the connection alone that is gone. */
  async #endOfProcess(): Promise<void> {
    let late: NodeJS.Timeout | undefined;
    const tooLate = new Promise((resolve) => (late = setTimeout(resolve, endMs)));
    await Promise.race([this.process.ended, tooLate]);
    clearTimeout(late);
  }

  #activity(suspect: string, deed: Deed): Activity {
    const ownMs = Math.min(Math.max(this.#needs.load.limits?.cpuMs ?? cpuMsDefault, cpuMsDefault), cpuMsMax);
    const cpuMs = ownMs + (cpuMsOfState * this.#stateCharacters) / 2 ** 20;
    return { suspect, deed, sentAt: performance.now(), questions: 0, cpuMs };
  }

  #hear(message: FromRunner, body: string): void {
    if (message.is === "loaded" || message.is === "load-failed") this.#heardLoad(message);
    if (message.is === "result") this.#running.get(message.id)?.answered(message, body);
    if (message.is === "over") this.#running.get(message.id)?.end();
    if (message.is === "over" || (message.is === "result" && !message.working)) this.#left.get(message.id)?.();
    if (message.is === "asked") this.#ask(message, body);
  }

  /** Its process is still asked what it does, for whoever left it behind. */
  #leave(id: number, activity: Activity, over: () => void): void {
    activity.isLeft = true;
    this.#left.set(id, () => {
      over();
      this.#left.delete(id);
    });
  }

  #ask(message: Extract<FromRunner, { is: "asked" }>, body: string): void {
    const running = this.#running.get(message.id);
    if (running !== undefined) return void running.asked(message, body);
    this.#line?.send({ is: "answer", ask: message.ask }, JSON.stringify({ error: callIsOver }));
  }

  #end(error: SandboxError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    for (const over of [...this.#left.values()]) over();
    for (const running of [...this.#running.values()]) {
      running.interrupt(error);
      running.end();
    }
    this.#tellEnd();
  }
}

const callIsOver = { name: "Error", message: "This call is over." };

const neverLoaded = {
  name: "Error",
  message: `The module was not loaded within ${loadMs / 1_000} s: it may wait for something at its top level.`,
};
