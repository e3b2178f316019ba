/**
 * The entry of an isolate: the harness beside the code of somebody else. It shares everything with that code, so it
 * holds nothing that the code may not have.
 */

import { WorkerEntrypoint } from "cloudflare:workers";
import { AsyncLocalStorage } from "node:async_hooks";
import { createHarness, type HarnessHost, type SandboxDelivery, type SandboxDescription } from "@millrace/engine";
import type { Question } from "../messages.ts";
import { createVoice, hearConsole, type Voice } from "./voice.ts";

/** The host, as it is seen from here: every answer crosses a boundary, and crosses it as a text. */
interface RemoteHost {
  ask(question: Question, args: string): Promise<string>;
  returned(result: string): Promise<void>;
  /** Resolves with the reason when the hook, or the work, is to end early; with null when it is over. */
  aborted(work: string | null): Promise<string | null>;
}

const limits = { statesMax: 1_000, stateCharactersMax: 8 * 1024 * 1024 };

interface Call {
  id: number;
  host: RemoteHost;
  /** Said without waiting for an answer. A delivery that ended before it was sent would take it along. */
  told: Set<Promise<void>>;
  voice: Voice;
}

/** For which delivery something is done: attribution, never authority. */
const calls = new AsyncLocalStorage<Call>();

function tell({ told }: Pick<Call, "told">, telling: Promise<unknown>): void {
  const said: Promise<void> = telling.then(over, over);
  function over(): void {
    told.delete(said);
  }
  told.add(said);
}

const fetchOutside = globalThis.fetch;
const attributedFetch: typeof fetch = (input, init) => {
  const call = calls.getStore();
  if (call === undefined) return fetchOutside(input, init);
  const request = new Request(input, init);
  request.headers.set("x-millrace-call", String(call.id));
  return fetchOutside(request);
};
globalThis.fetch = attributedFetch;

const tellLoad = hearConsole(() => calls.getStore()?.voice);

/** Loaded behind all that stands above, so that it is heard from its first line on. */
const processor: Record<string, unknown> = await import("processor.js");

/** Made by the first call: by then the environment is known. */
let known: ReturnType<typeof createHarness> | undefined;

export default class extends WorkerEntrypoint {
  describe(): SandboxDescription {
    return this.#harness().describe();
  }

  async deliver(id: number, text: string, host: RemoteHost): Promise<string | null> {
    const delivery = JSON.parse(text) as SandboxDelivery;
    const told = new Set<Promise<void>>();
    const voice = createVoice(told, (...args) => tell({ told }, host.ask("log", JSON.stringify(given(args)))));
    const call: Call = { id, host, told, voice };
    tellLoad(voice);
    return calls.run(call, async () => {
      let signal: AbortSignal | undefined;
      const signalOfHook = () => (signal ??= signalOf(host, null));
      const { result, works } = await this.#harness().deliver(delivery, hostOf(call), signalOfHook);
      if (works !== undefined) await host.returned(JSON.stringify(result));
      await works;
      voice.end();
      if (told.size > 0) await Promise.all(told);
      return works === undefined ? JSON.stringify(result) : null;
    });
  }

  forget(state: string): void {
    known?.forget(state);
  }

  #harness(): ReturnType<typeof createHarness> {
    known ??= createHarness(processor, { fetch: attributedFetch, env: this.env as Record<string, string> }, limits);
    return known;
  }
}

function hostOf(call: Call): HarnessHost {
  const { host } = call;
  const ask = async (question: Question, ...args: unknown[]) =>
    JSON.parse(await host.ask(question, JSON.stringify(given(args))));
  return {
    logger: call.voice.logger,
    append: (input, work) => ask("append", input ?? null, work),
    open: (work) => ask("open", work),
    begun: async (work) => ((await ask("begun", work)) === true ? signalOf(host, work) : undefined),
    closed: (work, error) => ask("closed", work, error),
    abort: (work) => tell(call, ask("abort", work)),
  };
}

/** What is not there is left out: JSON would make a null of it. */
function given(args: readonly unknown[]): unknown[] {
  return args.filter((each) => each !== undefined);
}

function signalOf(host: RemoteHost, work: string | null): AbortSignal {
  const controller = new AbortController();
  const told = (reason: string | null) => {
    if (reason !== null) controller.abort(new Error(reason));
  };
  host.aborted(work).then(told, () => {});
  return controller.signal;
}
