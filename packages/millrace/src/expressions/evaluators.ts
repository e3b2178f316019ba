/**
 * Who evaluates what when. Calls wait in one queue; a process that has nothing to do takes a batch of them, and another
 * process is started when all are busy. When a process dies, what it had not answered is evaluated again, for an
 * expression only computes. Its watchdog names the item that took too long. Nobody can name the one that took too much
 * memory, so each of the batch then goes alone: what dies alone did it. A rule that was stopped before is given to a
 * process only while another one is there for everybody else.
 */
import { ExpressionError } from "@millrace/engine";
import { type EvaluatorProcess, type ProcessEnd, startProcess } from "./evaluator-process.ts";
import type { Answer, Item } from "./messages.ts";
import { createStoppedRules } from "./stopped-rules.ts";

export interface EvaluatorsOptions {
  timeoutMs: number;
  processes: number;
  memoryMb: number;
  resultBytesMax: number;
  onFault(error: Error): void;
}

export interface Call {
  item: Item;
  settle(answer: Answer | ExpressionError): void;
}

interface Evaluator {
  process: EvaluatorProcess;
  ready: boolean;
  /** What it was given and has not answered yet, in order; and how many of that batch it has answered. */
  open: Call[];
  answered: number;
  /** What it has is a rule that was stopped before. */
  isAtRisk: boolean;
  ended: Promise<void>;
}

/** A batch is evaluated again when its process dies, and is held in memory on both sides. */
const batchItemsMax = 64;
const batchCharactersMax = 1024 * 1024;

export class Evaluators {
  readonly #options: EvaluatorsOptions;
  readonly #evaluators = new Set<Evaluator>();
  /** Not bounded: who asks waits for the answer, and how many may ask is bounded where they come from. */
  #queue: Call[] = [];
  /** They go first, and each alone. */
  #suspects: Call[] = [];
  /** Calls of rules that were stopped before: one at a time, and never by the last process that is left. */
  #risky: Call[] = [];
  readonly #stopped = createStoppedRules();
  #scheduled = false;
  #closed = false;

  constructor(options: EvaluatorsOptions) {
    this.#options = options;
  }

  add(call: Call): void {
    if (this.#closed) {
      call.settle(closedError());
      return;
    }
    (this.#stopped.has(call.item) ? this.#risky : this.#queue).push(call);
    if (this.#scheduled) return;
    this.#scheduled = true;
    // What is asked for in the same turn of the event loop goes together.
    setImmediate(() => {
      this.#scheduled = false;
      this.#dispatch();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const running = [...this.#evaluators];
    this.#rejectAll([...running.flatMap(({ open }) => open.splice(0)), ...this.#takeWaiting()], closedError());
    for (const { process } of running) {
      process.hold(true);
      process.kill();
    }
    await Promise.all(running.map(({ ended }) => ended));
  }

  #dispatch(): void {
    for (const evaluator of this.#evaluators) {
      if (evaluator.ready && evaluator.open.length === 0) this.#give(evaluator);
    }
    const waiting = this.#queue.length + this.#suspects.length + this.#risky.length;
    const starting = [...this.#evaluators].some(({ ready }) => !ready);
    if (waiting > 0 && !starting && this.#evaluators.size < this.#options.processes) this.#start();
  }

  #give(evaluator: Evaluator): void {
    const risky = this.#mayRisk(evaluator) ? this.#risky.shift() : undefined;
    const batch = risky === undefined ? this.#nextBatch() : [risky];
    evaluator.isAtRisk = risky !== undefined;
    evaluator.open = batch;
    evaluator.answered = 0;
    evaluator.process.hold(batch.length > 0);
    if (batch.length > 0) evaluator.process.evaluate(batch.map(({ item }) => item));
  }

  #mayRisk(evaluator: Evaluator): boolean {
    if (this.#options.processes === 1) return this.#queue.length + this.#suspects.length === 0;
    const others = [...this.#evaluators].filter((other) => other !== evaluator);
    return others.some(({ ready }) => ready) && !others.some(({ isAtRisk }) => isAtRisk);
  }

  /** A share of what waits, so that the other processes have work too. */
  #nextBatch(): Call[] {
    const suspect = this.#suspects.shift();
    if (suspect !== undefined) return [suspect];
    const share = Math.min(Math.ceil(this.#queue.length / this.#options.processes), batchItemsMax);
    let count = 0;
    for (let characters = 0; count < share && characters < batchCharactersMax; count++) {
      const { input, matcher = "", transform = "" } = (this.#queue[count] as Call).item;
      const sent = count > 0 && input === this.#queue[count - 1]?.item.input ? 0 : input.length;
      characters += sent + matcher.length + transform.length;
    }
    return this.#queue.splice(0, count);
  }

  #start(): void {
    let whenEnded = () => {};
    const ended = new Promise<void>((resolve) => {
      whenEnded = resolve;
    });
    const { timeoutMs, memoryMb, resultBytesMax } = this.#options;
    const process = startProcess(
      { timeoutMs, memoryMb, resultBytesMax },
      {
        ready: () => {
          evaluator.ready = true;
          if (!this.#closed) this.#dispatch();
        },
        answers: (answers) => this.#hear(evaluator, answers),
        end: (end) => {
          this.#evaluators.delete(evaluator);
          whenEnded();
          if (!this.#closed) this.#mourn(evaluator, end);
        },
      },
    );
    const evaluator: Evaluator = { process, ready: false, open: [], answered: 0, isAtRisk: false, ended };
    this.#evaluators.add(evaluator);
  }

  #hear(evaluator: Evaluator, answers: readonly Answer[]): void {
    const answered = evaluator.open.splice(0, answers.length);
    evaluator.answered += answered.length;
    if (evaluator.isAtRisk) for (const { item } of answered) this.#stopped.forgive(item);
    // First the next batch, then the answers to this one: a process never waits for who asked.
    if (evaluator.open.length === 0 && !this.#closed) this.#dispatch();
    for (const [index, { settle }] of answered.entries()) settle(answers[index] as Answer);
  }

  #mourn({ ready, open, answered }: Evaluator, end: ProcessEnd): void {
    const { timeoutMs, memoryMb, onFault } = this.#options;
    if (!ready) {
      this.#giveUp(end);
    } else if (end.stopped !== undefined) {
      // What was answered just before the end is answered; then nobody is to blame.
      const [stopped] = end.stopped < answered ? [] : open.splice(end.stopped - answered, 1);
      this.#queue.unshift(...open);
      this.#stop(stopped, new ExpressionError("stopped", `The expression did not end within ${timeoutMs} ms.`));
    } else {
      if (!end.outOfMemory) onFault(new Error(`A process that evaluates expressions ${end.how}.`));
      if (open.length === 1) this.#stop(open.pop(), aloneError(end, memoryMb));
      this.#suspects.push(...open);
    }
    this.#dispatch();
  }

  /** Others that wait with the same rule are as much of a risk. */
  #stop(call: Call | undefined, error: ExpressionError): void {
    if (call === undefined) return;
    this.#stopped.add(call.item);
    const isRisky = ({ item }: Call) => this.#stopped.has(item);
    this.#risky.push(...this.#suspects.filter(isRisky), ...this.#queue.filter(isRisky));
    this.#suspects = this.#suspects.filter((waiting) => !isRisky(waiting));
    this.#queue = this.#queue.filter((waiting) => !isRisky(waiting));
    call.settle(error);
  }

  /** Asked again, it is tried again. */
  #giveUp({ how }: ProcessEnd): void {
    const message = `A process that evaluates expressions could not be started: ${how}.`;
    this.#options.onFault(new Error(message));
    // The process that is left is not risked.
    const given = this.#evaluators.size > 0 ? this.#risky.splice(0) : this.#takeWaiting();
    this.#rejectAll(given, new ExpressionError("stopped", message));
  }

  #takeWaiting(): Call[] {
    return [...this.#suspects.splice(0), ...this.#queue.splice(0), ...this.#risky.splice(0)];
  }

  #rejectAll(calls: readonly Call[], error: ExpressionError): void {
    for (const { settle } of calls) settle(error);
  }
}

function aloneError({ outOfMemory, how }: ProcessEnd, memoryMb: number): ExpressionError {
  const message = outOfMemory
    ? `The expression needed more than ${memoryMb} MB of memory.`
    : `The process that evaluated the expression ${how}.`;
  return new ExpressionError("stopped", message);
}

function closedError(): ExpressionError {
  return new ExpressionError("closed", "Expressions are not evaluated any more.");
}
