/** One call of a hook inside a sandbox: what the code is given, what it asks for, and the work that it leaves behind. */
import {
  admit,
  type CatchUpArguments,
  type EventInput,
  type HookArguments,
  type HookSurroundings,
  type StreamEvent,
  type Work,
} from "@millrace/protocol";
import type { SandboxCall } from "../ports/sandbox.ts";
import { codeErrorOf, errorOf } from "./code-error.ts";
import type { CodeProcessor } from "./code-processor.ts";
import type { HarnessHost } from "./harness.ts";

export interface HookNeeds {
  surroundings: Omit<HookSurroundings, "logger">;
  /** The state as it is, and the newest whenever it is asked for. */
  state: { value: unknown; newest(): unknown };
  host: HarnessHost;
  signal(): AbortSignal;
  /** What is begun is added here; none of it rejects. */
  works: Promise<void>[];
}

/**
 * Rejects with what the hook throws, and what it left behind and failed: nobody else would hear of it.
 * @param folded the event that it acts on, where it was folded right before
 */
export async function callHook(
  processor: CodeProcessor,
  call: SandboxCall,
  folded: StreamEvent | undefined,
  needs: HookNeeds,
): Promise<void> {
  const { host, signal } = needs;
  // It was ended on its way here: nothing begins any more.
  if (host.isEnded?.() === true) throw new Error("The hook was ended before it began.");
  const opened: Promise<unknown>[] = [];
  const pending = new Set<Promise<unknown>>();
  const tools = toolsOf(needs, opened, pending);
  if (call.hook === "afterCatchUp") {
    const { hook: _, ...what } = call;
    await processor.afterCatchUp?.(withSignal({ ...what, ...tools }, signal) as CatchUpArguments<unknown>);
  } else {
    const event = call.event === undefined ? folded : await admitted(processor, call.event);
    const { attempt } = call;
    const args = event && (withSignal({ ...tools, event, attempt }, signal) as HookArguments<unknown>);
    if (args !== undefined) await processor.afterAppend?.(args);
  }
  await Promise.all(opened);
  while (pending.size > 0) await Promise.all(pending);
}

function toolsOf(
  { surroundings, state, host, works }: HookNeeds,
  opened: Promise<unknown>[],
  pending: Set<Promise<unknown>>,
): object {
  return {
    ...surroundings,
    logger: host.logger,
    state: state.value,
    append: appender(host, undefined, pending),
    abort: (name: string) => host.abort(name),
    waitUntil(name: string, work: Work<unknown>) {
      const opening = host.open(name);
      const expected = opening.then(expectOpen);
      // A hook that fails meanwhile has failed by that.
      expected.catch(() => {});
      opened.push(expected);
      works.push(runWork(name, work, opening, state.newest, host).catch(() => {}));
    },
  };
}

/** It was folded by an earlier delivery. */
async function admitted(processor: CodeProcessor, event: StreamEvent): Promise<StreamEvent | undefined> {
  const again = await admit(processor, event);
  return again !== undefined && "event" in again ? again.event : undefined;
}

/** Made when it is looked at. */
function withSignal(tools: object, signal: () => AbortSignal): object {
  return Object.defineProperty(tools, "signal", { get: signal, enumerable: true, configurable: true });
}

async function runWork(
  name: string,
  work: Work<unknown>,
  opening: ReturnType<HarnessHost["open"]>,
  state: () => unknown,
  host: HarnessHost,
): Promise<void> {
  const opened = await opening;
  const signal = "begins" in opened && opened.begins ? await host.begun(name) : undefined;
  if (signal === undefined) return;
  const pending = new Set<Promise<unknown>>();
  try {
    await work({ signal, state, append: appender(host, name, pending) });
    while (pending.size > 0) await Promise.all(pending);
    await host.closed(name);
  } catch (error) {
    await host.closed(name, codeErrorOf(error));
  }
}

function expectOpen(opened: Awaited<ReturnType<HarnessHost["open"]>>): void {
  if ("error" in opened) throw errorOf(opened.error);
}

function appender(host: HarnessHost, work: string | undefined, pending: Set<Promise<unknown>>) {
  return (input: EventInput | { event: EventInput; path: string }): Promise<StreamEvent> => {
    const appending = host.append(input, work).then((answer) => {
      if ("error" in answer) throw errorOf(answer.error);
      return answer.event;
    });
    pending.add(appending);
    const done = () => pending.delete(appending);
    appending.then(done, done);
    return appending;
  };
}
