/**
 * A directory with somebody in between: sees every call, and may delay it, fail it before it happens, or fail it after
 * it happened. That is how tests count what the engine asks of its log, and how they bring about what disks do.
 */
import type { Directory, StreamLog } from "@millrace/engine";

export interface InterceptedCall {
  operation: keyof StreamLog | Exclude<keyof Directory, "log">;
  /** Of the stream, where the call is about one. */
  project?: string;
  path?: string;
  arguments: readonly unknown[];
}

/** What the caller gets is what this returns; `proceed` does what was asked. */
export type Intercept = (call: InterceptedCall, proceed: () => Promise<unknown>) => Promise<unknown>;

export function interceptDirectory(directory: Directory, intercept: Intercept): Directory {
  const { log, ...rest } = directory;
  return {
    ...wrap(rest, intercept, {}),
    log: (project, path) => wrap(log(project, path), intercept, { project, path }),
  };
}

function wrap<Methods extends object>(
  methods: Methods,
  intercept: Intercept,
  about: Partial<InterceptedCall>,
): Methods {
  const wrapped = Object.entries(methods).map(([operation, method]) => [
    operation,
    (...args: unknown[]) =>
      intercept({ ...about, operation: operation as InterceptedCall["operation"], arguments: args }, () =>
        method(...args),
      ),
  ]);
  return Object.fromEntries(wrapped) as Methods;
}
