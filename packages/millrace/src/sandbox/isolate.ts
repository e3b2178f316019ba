/** One isolate in one process: code that is loaded, and the deliveries that run in it. It ends once. */
import {
  type Bridge,
  createBridge,
  type SandboxCalls,
  type SandboxDelivery,
  type SandboxDescription,
  SandboxError,
  type SandboxPlace,
  type SandboxResult,
} from "@millrace/engine";
import type { Line } from "./line.ts";
import type { FromRunner, LoadMessage } from "./messages.ts";
import type { Activity, Deed, WorkerdProcess } from "./workerd-process.ts";

/** Without limits of its own, code may compute for so long without an answer. */
const cpuMsDefault = 450;
const cpuMsMax = 5_000;

interface Running extends RunningCall {
  bridge: Bridge;
  activity: Activity;
  settle(result: SandboxResult | SandboxError): void;
  /** The hook, and then what it left behind. */
  end(): void;
}

export interface IsolateNeeds {
  process: WorkerdProcess;
  load: LoadMessage;
  /** Numbers of deliveries, unlike any other of the same process. */
  nextId(): number;
}

type Loaded = Extract<FromRunner, { is: "loaded" | "load-failed" }>;

/** Whose code runs, on which stream. */
export interface Tenant {
  /** Names it among all. */
  suspect: string;
  place: SandboxPlace;
}

/** A delivery that runs: on whose behalf, and for which event. */
export interface RunningCall {
  calls: SandboxCalls;
  cause: { streamPath: string; offset: number; depth: number; slug: string };
}

export class Isolate {
  readonly process: WorkerdProcess;
  readonly #needs: IsolateNeeds;
  #tellEnd: () => void = () => {};
  readonly #running = new Map<number, Running>();
  #line: Line | undefined;
  #ended: SandboxError | undefined;
  #heardLoad: (message: Loaded | undefined) => void = () => {};
  usedAt: number = performance.now();

  /** Rejects with SandboxError. */
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

  get hasEnded(): boolean {
    return this.#ended !== undefined;
  }

  /** Resolves at its end, however that came. */
  readonly ended: Promise<void> = new Promise((resolve) => {
    this.#tellEnd = resolve;
  });

  /** Deliveries, and work that they left behind. */
  get isBusy(): boolean {
    return this.#running.size > 0;
  }

  /** For whom a request is made that names this delivery. */
  callOf(id: number): RunningCall | undefined {
    return this.#running.get(id);
  }

  async deliver(delivery: SandboxDelivery, calls: SandboxCalls, tenant: Tenant): Promise<SandboxResult> {
    if (this.#ended !== undefined) throw this.#ended;
    this.usedAt = performance.now();
    const id = this.#needs.nextId();
    const activity = this.#activity(tenant, deedOf(delivery));
    const over = this.process.begin(activity);
    const abort = () => this.#line?.send({ is: "abort", id, reason: reasonOf(calls.signal) });
    try {
      return await new Promise<SandboxResult>((resolve, reject) => {
        this.#running.set(id, {
          bridge: createBridge(
            withWorkSignals(calls, (work, reason) => this.#line?.send({ is: "abort", id, work, reason })),
          ),
          calls,
          cause: causeOf(delivery, tenant.place),
          activity,
          settle: (result) => (result instanceof SandboxError ? reject(result) : resolve(result)),
          end: () => {
            over();
            calls.signal.removeEventListener("abort", abort);
          },
        });
        calls.signal.addEventListener("abort", abort, { once: true });
        this.#line?.send({ is: "deliver", id }, JSON.stringify(delivery));
        if (calls.signal.aborted) abort();
      });
    } finally {
      this.usedAt = performance.now();
    }
  }

  forget(state: string): void {
    this.#line?.send({ is: "forget", state });
  }

  /** Unloads it. What still runs is interrupted. */
  close(message = "It was unloaded."): void {
    const running = [...this.#running.values()];
    this.#end(new SandboxError("interrupted", message));
    for (const { end } of running) end();
    this.#line?.close();
  }

  async #load(tenant: Tenant): Promise<SandboxDescription> {
    const over = this.process.begin(this.#activity(tenant, { what: "load", through: 0 }));
    try {
      const heard = new Promise<Loaded | undefined>((resolve) => (this.#heardLoad = resolve));
      this.#line = await this.process.open((message, body) => this.#hear(message, body));
      void this.#line.closed.then(() => {
        this.#end(new SandboxError("interrupted", "The sandbox ended."));
        this.#heardLoad(undefined);
      });
      this.#line.send(this.#needs.load);
      const loaded = await heard;
      if (loaded === undefined) throw new SandboxError("interrupted", "The sandbox ended while the code was loaded.");
      if (loaded.is === "loaded") return loaded.description;
      this.close();
      throw Object.assign(new SandboxError("code", loaded.error.message), { codeError: loaded.error });
    } catch (error) {
      if (error instanceof SandboxError) throw error;
      throw new SandboxError("interrupted", `The sandbox was not reached: ${(error as Error).message}`);
    } finally {
      over();
    }
  }

  #activity({ suspect }: Tenant, deed: Deed): Activity {
    const cpuMs = Math.min(Math.max(this.#needs.load.limits?.cpuMs ?? cpuMsDefault, cpuMsDefault), cpuMsMax);
    return { suspect, deed, sentAt: performance.now(), questions: 0, cpuMs };
  }

  #hear(message: FromRunner, body: string): void {
    if (message.is === "loaded" || message.is === "load-failed") this.#heardLoad(message);
    if (message.is === "result") this.#running.get(message.id)?.settle(resultOf(body));
    if (message.is === "over" || (message.is === "result" && !message.working)) this.#over(message.id);
    if (message.is === "asked") this.#answer(message, body).catch(() => {});
  }

  #over(id: number): void {
    const running = this.#running.get(id);
    this.#running.delete(id);
    running?.end();
    // Work whose end was never told: its context is gone.
    running?.bridge.interrupt("The work ended without a word.");
  }

  async #answer({ id, ask, question }: Extract<FromRunner, { is: "asked" }>, body: string): Promise<void> {
    const running = this.#running.get(id);
    if (running === undefined) return;
    const { bridge, calls, activity } = running;
    activity.questions++;
    const answered = await answerOf(bridge, calls, question, argumentsOf(body));
    activity.questions--;
    this.#line?.send({ is: "answer", ask }, JSON.stringify(answered ?? null));
  }

  #end(error: SandboxError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    // What ran stays known to its process, which may have ended by it.
    for (const { bridge, settle } of this.#running.values()) {
      bridge.interrupt(error.message);
      settle(error);
    }
    this.#running.clear();
    this.#tellEnd();
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

/** The code shares its isolate with whoever writes this: it may be anything. */
function resultOf(body: string): SandboxResult {
  try {
    return JSON.parse(body) as SandboxResult;
  } catch {
    const error = { name: "Error", message: "The isolate answered with what is no JSON." };
    return { is: "hook-failed", error, passedOver: [] };
  }
}

function argumentsOf(body: string): readonly unknown[] {
  try {
    return JSON.parse(body) as unknown[];
  } catch {
    return [];
  }
}

async function answerOf(
  bridge: Bridge,
  calls: SandboxCalls,
  question: Extract<FromRunner, { is: "asked" }>["question"],
  args: readonly unknown[],
): Promise<unknown> {
  const [first, second, third] = args as [string, never, unknown];
  switch (question) {
    case "append":
      return bridge.append(first, second);
    case "open":
      return bridge.open(first);
    case "begun":
      return (await bridge.begun(first)) !== undefined;
    case "closed":
      return bridge.closed(first, second);
    case "abort":
      return bridge.abort(first);
    case "log":
      return calls.logger[first as "info"]?.(String(second), third);
  }
}

/** The signal of each work reaches the one in the isolate. */
function withWorkSignals(calls: SandboxCalls, abort: (work: string, reason: string) => void): SandboxCalls {
  return {
    ...calls,
    waitUntil: (name, work) =>
      calls.waitUntil(name, (tools) => {
        const { signal } = tools;
        const tell = () => abort(name, reasonOf(signal));
        signal.addEventListener("abort", tell, { once: true });
        return work(tools).finally(() => signal.removeEventListener("abort", tell));
      }),
  };
}

function reasonOf({ reason }: AbortSignal): string {
  return reason instanceof Error ? reason.message : String(reason);
}
