/** What a case of the Sandbox suite is given, and what most of them need. */
import type {
  Sandbox,
  SandboxCall,
  SandboxCalls,
  SandboxCode,
  SandboxDelivery,
  SandboxedProcessor,
  SandboxResult,
} from "@millrace/engine";
import type { EventInput, StreamEvent } from "@millrace/protocol";
import { checkEqual } from "../check.ts";

/** A sandbox, and its end. Nothing of it is shared between cases. */
export interface SandboxFixture {
  sandbox: Sandbox;
  /** Whatever holds code and states ends without a word. Resolves when it has. */
  crash(): Promise<void>;
  dispose(): Promise<void>;
}

export interface SandboxCase {
  name: string;
  run(fixture: SandboxFixture): Promise<void>;
}

/** Adds numbers up, and says so. */
export const adding = `export default {
  slug: "adding",
  initialState: { sum: 0 },
  reduce: ({ state, event }) => (event.type === "number" ? { sum: state.sum + event.payload } : undefined),
  async afterAppend({ event, state, attempt, append }) {
    await append({ type: "summed", payload: { ...state, of: event.offset, attempt } });
  },
};`;

export function load(
  { sandbox }: SandboxFixture,
  source: string,
  given: Partial<SandboxCode> = {},
): Promise<SandboxedProcessor> {
  const code = { project: "suite", modules: { "processor.js": source }, main: "processor.js", env: {}, ...given };
  return sandbox.load(code, { path: "/s", slug: "tested", epoch: 1, configuredAt: 1 });
}

/** A processor that does this in its hook. */
export function acting(hook: string, more = ""): string {
  return `const aborted = (signal) =>
      signal.aborted ? undefined : new Promise((resolve) => signal.addEventListener("abort", resolve));
    export default { slug: "acting", initialState: { count: 0 },
    reduce: ({ state }) => ({ count: state.count + 1 }), ${more}
    async afterAppend({ event, state, append, signal, waitUntil, abort, attempt, env, logger }) { ${hook} } };`;
}

export function eventAt(offset: number, type = "number", payload: unknown = offset): StreamEvent {
  return { type, payload, streamPath: "/s", offset, createdAt: "2026-01-01T00:00:00.000Z" } as StreamEvent;
}

export function eventsAt(...offsets: number[]): StreamEvent[] {
  return offsets.map((offset) => eventAt(offset));
}

/** From the initial state, unless something else is given. */
export function delivery(given: Partial<SandboxDelivery>): SandboxDelivery {
  return { state: "one", base: 0, events: [], ...given };
}

export const afterAppend: SandboxCall = { hook: "afterAppend", attempt: 1 };

export interface RecordedCalls {
  calls: SandboxCalls;
  /** What was appended; `work` is who did, where it was not the hook. */
  appended: { input: unknown; work?: string }[];
  /** Resolves when so much was appended. */
  until(count: number): Promise<void>;
  aborted: string[];
  logged: [level: string, message: string][];
  /** Ends the hook. */
  controller: AbortController;
  works: Map<string, RecordedWork>;
}

export interface RecordedWork {
  controller: AbortController;
  /** Resolves at its end, with the error by which it ended. */
  ended: Promise<Error | undefined>;
}

/** A host that takes everything, but for what a case does otherwise. */
export function recordCalls(given: Partial<SandboxCalls> = {}): RecordedCalls {
  const appended: RecordedCalls["appended"] = [];
  const waiting: { count: number; resolve(): void }[] = [];
  const logged: RecordedCalls["logged"] = [];
  const aborted: string[] = [];
  const works = new Map<string, RecordedWork>();
  const controller = new AbortController();

  function appender(work?: string): SandboxCalls["append"] {
    return async (input) => {
      appended.push({ input, ...(work === undefined ? {} : { work }) });
      for (const { count, resolve } of waiting) if (appended.length >= count) resolve();
      const event = "event" in input ? input.event : input;
      return { ...eventAt(100 + appended.length), ...(event as EventInput) } as StreamEvent;
    };
  }

  const log = (level: string) => (message: string) => void logged.push([level, message]);
  return {
    appended,
    until(count) {
      if (appended.length >= count) return Promise.resolve();
      return new Promise((resolve) => waiting.push({ count, resolve }));
    },
    aborted,
    logged,
    controller,
    works,
    calls: {
      append: appender(),
      signal: controller.signal,
      abort: (name) => void aborted.push(name),
      logger: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
      waitUntil(name, work) {
        const ending = new AbortController();
        const running = work({ signal: ending.signal, state: () => undefined, append: appender(name) });
        const ended = running.then(
          () => undefined,
          (error: Error) => error,
        );
        works.set(name, { controller: ending, ended });
        return ended.then(() => {});
      },
      refused() {},
      ...given,
    },
  };
}

/** The state that was answered with. */
export function stateIn(result: SandboxResult): unknown {
  checkEqual(result.is, "done", `the answer ${JSON.stringify(result)}`);
  return JSON.parse((result as { state?: string }).state ?? '"no state"');
}

/** Rejected, as a SandboxError with this reason; resolves with its message. */
export async function failureOf(promise: Promise<unknown>, reason: string): Promise<string> {
  const error = await promise.then(
    (value) => {
      throw new Error(`expected a failure, got ${JSON.stringify(value)}`);
    },
    (failure: Error & { reason?: string }) => failure,
  );
  checkEqual([error.name, error.reason], ["SandboxError", reason], `the failure "${error.message}"`);
  return error.message;
}
