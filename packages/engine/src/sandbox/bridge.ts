/**
 * The host's side of one delivery: what the harness asks for, done with what the consumer gave. Whatever carries the
 * questions and answers, it is the same.
 */
import { InterruptedError } from "@millrace/protocol";
import type { CodeError, SandboxCalls } from "../ports/sandbox.ts";
import { codeErrorOf, errorOf } from "./code-error.ts";
import type { HarnessHost } from "./harness.ts";

export interface Bridge extends Omit<HarnessHost, "logger"> {
  /** What carried it is gone: work that was open is interrupted, and nothing is done any more. */
  interrupt(message: string): void;
}

interface OpenWork {
  signal: AbortSignal;
  append: SandboxCalls["append"];
  end(error?: Error): void;
}

/** A new one each time: what waits for a promise is kept by it. */
const never = () => new Promise<never>(() => {});
const over: CodeError = { name: "Error", message: "This call is over." };

export function createBridge(calls: SandboxCalls): Bridge {
  const works = new Map<string, OpenWork>();
  const beginnings = new Map<string, Promise<AbortSignal | undefined>>();
  let interrupted: string | undefined;

  function open(name: string): { begins: boolean } {
    let begin: (signal: AbortSignal | undefined) => void = () => {};
    const begun = new Promise<AbortSignal | undefined>((resolve) => (begin = resolve));
    const ended = calls.waitUntil(name, ({ signal, append }) => {
      if (interrupted !== undefined) return Promise.reject(new InterruptedError(interrupted));
      return new Promise<void>((resolve, reject) => {
        works.set(name, { signal, append, end: (error) => (error === undefined ? resolve() : reject(error)) });
        begin(signal);
      }).finally(() => works.delete(name));
    });
    // Work of this name may be under way already, and is the one that begins.
    if (ended === undefined) return { begins: false };
    beginnings.set(name, begun);
    // It may be over before it began.
    ended.then(() => begin(undefined));
    return { begins: true };
  }

  async function answerOf(append: () => ReturnType<SandboxCalls["append"]>): ReturnType<Bridge["append"]> {
    if (interrupted !== undefined) return never();
    try {
      return { event: await append() };
    } catch (error) {
      return { error: codeErrorOf(error) };
    }
  }

  return {
    async append(input, work) {
      const append = work === undefined ? calls.append : works.get(work)?.append;
      if (append === undefined) return { error: over };
      const answer = await answerOf(() => append(input as Parameters<SandboxCalls["append"]>[0]));
      // Whoever asked is gone.
      return interrupted === undefined ? answer : never();
    },
    async open(name) {
      try {
        return open(name);
      } catch (error) {
        return { error: codeErrorOf(error) };
      }
    },
    begun: (name) => beginnings.get(name) ?? Promise.resolve(undefined),
    async closed(name, error) {
      works.get(name)?.end(error === undefined ? undefined : errorOf(error));
    },
    abort: (name) => calls.abort(name),
    isEnded: () => calls.signal.aborted,
    interrupt(message) {
      interrupted = message;
      for (const { end } of works.values()) end(new InterruptedError(message));
    },
  };
}
