/**
 * The entry of an isolate: the harness beside the code of somebody else. It shares everything with that code, so it
 * holds nothing that the code may not have.
 */

import { WorkerEntrypoint } from "cloudflare:workers";
import { AsyncLocalStorage } from "node:async_hooks";
import { createHarness, type HarnessHost, type SandboxDelivery, type SandboxDescription } from "@millrace/engine";
import type { Logger } from "@millrace/protocol";
import * as processor from "processor.js";
import type { Question } from "../messages.ts";

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
}

/** For which delivery something is done: attribution, never authority. */
const calls = new AsyncLocalStorage<Call>();

function tell({ told }: Call, telling: Promise<unknown>): void {
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

function loggerOf(call: Call): Logger {
  const log = (level: string) => (message: string, details?: unknown) =>
    tell(call, call.host.ask("log", JSON.stringify([level, String(message), jsonOf(details)])));
  return { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
}

for (const [method, level] of [
  ["debug", "debug"],
  ["log", "info"],
  ["info", "info"],
  ["warn", "warn"],
  ["error", "error"],
] as const) {
  console[method] = (...said: unknown[]) => {
    const call = calls.getStore();
    if (call !== undefined) loggerOf(call)[level](said.map(textOf).join(" "));
  };
}

function textOf(said: unknown): string {
  if (typeof said === "string") return said;
  if (said instanceof Error) return said.stack ?? said.message;
  return JSON.stringify(jsonOf(said)) ?? String(said);
}

/** What cannot be written as JSON is no reason for a hook to fail. */
function jsonOf(value: unknown): unknown {
  try {
    return value === undefined ? undefined : JSON.parse(JSON.stringify(value) ?? "null");
  } catch {
    return String(value);
  }
}

/** Made by the first call: by then the environment is known. */
let known: ReturnType<typeof createHarness> | undefined;

export default class extends WorkerEntrypoint {
  describe(): SandboxDescription {
    return this.#harness().describe();
  }

  async deliver(id: number, text: string, host: RemoteHost): Promise<string | null> {
    const delivery = JSON.parse(text) as SandboxDelivery;
    const call: Call = { id, host, told: new Set() };
    return calls.run(call, async () => {
      let signal: AbortSignal | undefined;
      const signalOfHook = () => (signal ??= signalOf(host, null));
      const { result, works } = await this.#harness().deliver(delivery, hostOf(call), signalOfHook);
      if (works !== undefined) await host.returned(JSON.stringify(result));
      await works;
      if (call.told.size > 0) await Promise.all(call.told);
      return works === undefined ? JSON.stringify(result) : null;
    });
  }

  forget(state: string): void {
    known?.forget(state);
  }

  #harness(): ReturnType<typeof createHarness> {
    known ??= createHarness(
      processor as Record<string, unknown>,
      { fetch: attributedFetch, env: this.env as Record<string, string> },
      limits,
    );
    return known;
  }
}

function hostOf(call: Call): HarnessHost {
  const { host } = call;
  // What is not there is left out: JSON would make a null of it.
  const ask = async (question: Question, ...args: unknown[]) =>
    JSON.parse(await host.ask(question, JSON.stringify(args.filter((given) => given !== undefined))));
  return {
    logger: loggerOf(call),
    append: (input, work) => ask("append", input ?? null, work),
    open: (work) => ask("open", work),
    begun: async (work) => ((await ask("begun", work)) === true ? signalOf(host, work) : undefined),
    closed: (work, error) => ask("closed", work, error),
    abort: (work) => tell(call, ask("abort", work)),
  };
}

function signalOf(host: RemoteHost, work: string | null): AbortSignal {
  const controller = new AbortController();
  const told = (reason: string | null) => {
    if (reason !== null) controller.abort(new Error(reason));
  };
  host.aborted(work).then(told, () => {});
  return controller.signal;
}
