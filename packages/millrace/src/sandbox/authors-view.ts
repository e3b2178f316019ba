/** What the author of deployed code reads of it: errors and what it says, with the lines that the author wrote. */
import { type CodeError, type SandboxCalls, SandboxError, type SandboxResult } from "@millrace/engine";

export interface Compiled {
  script: string;
  /** The same error with the author's own lines. */
  locate(error: CodeError): CodeError;
  /** The same text, with the author's lines for those of a stack. */
  locateText?(text: string): string;
}

export function withAuthorsLines(result: SandboxResult, { locate }: Compiled): SandboxResult {
  return result.is === "fold-failed" || result.is === "hook-failed"
    ? { ...result, error: locate(result.error) }
    : result;
}

/** Where it is an error of the code, the SandboxError that says so; else as it is. */
export function asAuthorsError(error: unknown, { locate }: Compiled): unknown {
  const { codeError } = error as { codeError?: CodeError };
  if (codeError === undefined) return error;
  const { message: said, stack = "" } = locate(codeError);
  const text = withoutRuntime(said);
  // Here and below the code chose what it is: no blank is a line break, or each of them would begin a search of its own.
  const line = /^[ \t]*at (.*)$/m.exec(stack)?.[1];
  return new SandboxError("code", line === undefined ? text : `${text} (at ${line})`);
}

type Logger = SandboxCalls["logger"];

export function authorsLogger(logger: Logger, { locateText }: Compiled): Logger {
  if (locateText === undefined) return logger;
  const located = (level: "debug" | "info" | "warn" | "error") => (message: string, details?: unknown) =>
    logger[level](locateText(message), details);
  return {
    debug: located("debug"),
    info: located("info"),
    warn: located("warn"),
    error: located("error"),
    leftOut: (lines) => logger.leftOut?.(lines),
  };
}

/** What the runtime says around an error that the code threw while it was loaded: its lines are of no author's file. */
function withoutRuntime(said: string): string {
  return said
    .replace(/^Failed to start Worker:\s*(Uncaught )?/, "")
    .replace(/\n[ \t]+at (?:processor|harness)\.js.*$/gm, "");
}
