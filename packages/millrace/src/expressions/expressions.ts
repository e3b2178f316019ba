/**
 * The port Expressions over processes. Not worker threads: an expression that asks for a 512 MB string ends the whole
 * process with a fatal error of V8, whatever limits its thread has. See evaluators.ts for who evaluates what when.
 */
import { type Evaluated, ExpressionError, type Expressions } from "@millrace/engine";
import { Evaluators } from "./evaluators.ts";
import type { Answer } from "./messages.ts";

export interface ExpressionsOptions {
  /** For one rule over one input, from the moment it begins; see watchdog.ts for what is measured. */
  timeoutMs: number;
  /** At most so many, each with a heap of its own; they are started when there is work for them. */
  processes?: number;
  /** Of each process's heap. */
  memoryMb?: number;
  /** Of the JSON text, in UTF-8. */
  resultBytesMax?: number;
  /** Hears when a process cannot be started, or ends for a reason that is no expression's. */
  onFault?(error: Error): void;
}

/** Two, so that one endless expression does not hold up everybody; a further one costs 50 MB. */
const defaultProcesses = 2;
/** An event of 6 MiB is about 60 MB when it is parsed and rewritten. */
const defaultMemoryMb = 128;
/** As large as an event may be. */
const defaultResultBytes = 1024 * 1024;

export function createExpressions(options: ExpressionsOptions): Expressions {
  const evaluators = new Evaluators({
    timeoutMs: options.timeoutMs,
    processes: options.processes ?? defaultProcesses,
    memoryMb: options.memoryMb ?? defaultMemoryMb,
    resultBytesMax: options.resultBytesMax ?? defaultResultBytes,
    onFault: options.onFault ?? (() => {}),
  });

  return {
    evaluate: ({ matcher, transform }, input) =>
      new Promise((resolve, reject) => {
        evaluators.add({
          // Named one by one: a rule may be a larger object, and only this leaves the process.
          item: {
            ...(matcher === undefined ? {} : { matcher }),
            ...(transform === undefined ? {} : { transform }),
            input,
          },
          settle(answer) {
            const evaluated = evaluatedOf(answer);
            if (evaluated instanceof ExpressionError) reject(evaluated);
            else resolve(evaluated);
          },
        });
      }),
    close: () => evaluators.close(),
  };
}

function evaluatedOf(answer: Answer | ExpressionError): Evaluated | ExpressionError {
  if (answer instanceof ExpressionError || !("failed" in answer)) return answer;
  return new ExpressionError("failed", answer.failed);
}
