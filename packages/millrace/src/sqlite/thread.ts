/** A database thread, seen from the server: calls made in one turn of the event loop travel as one message. */
import type { Worker } from "node:worker_threads";

interface Call {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

interface WriterCall extends Call {
  convert(row: number, position: number): unknown;
}

/** What SQLite said. The caller sees a rejected promise; the engine answers 503 and tells its log. */
export class DatabaseError extends Error {
  override readonly name = "DatabaseError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(code === "" ? message : `${code}: ${message}`);
    this.code = code;
  }
}

/**
 * Calls wait while a message is being worked on: that is what makes a group commit large when the disk is slow and
 * small when nothing else waits.
 */
export function createWriterThread<Request>(
  worker: Worker,
  settle: (answer: unknown) => number[] | DatabaseError,
): {
  write<Value>(request: Request, convert: (row: number, position: number) => Value): Promise<Value>;
  finish: () => Promise<void>;
} {
  let requests: Request[] = [];
  let waiting: WriterCall[] = [];
  let inFlight: WriterCall[] | undefined;
  let scheduled = false;
  let whenDone: (() => void) | undefined;

  function flush(): void {
    scheduled = false;
    if (inFlight !== undefined || waiting.length === 0) return;
    inFlight = waiting;
    worker.postMessage(requests);
    waiting = [];
    requests = [];
  }

  worker.on("message", (answer) => {
    const answered = inFlight ?? [];
    inFlight = undefined;
    // First the next transaction, then the answers to this one: the disk never waits for the network.
    flush();
    const results = settle(answer);
    for (let i = 0; i < answered.length; i++) settleCall(answered[i] as WriterCall, results, i);
    if (inFlight === undefined && waiting.length === 0) whenDone?.();
  });

  return {
    write: <Value>(request: Request, convert: (row: number, position: number) => Value) =>
      new Promise<Value>((resolve, reject) => {
        if (whenDone !== undefined) throw closed();
        requests.push(request);
        waiting.push({ convert, resolve: resolve as (value: unknown) => void, reject });
        if (scheduled || inFlight !== undefined) return;
        scheduled = true;
        setImmediate(flush);
      }),
    finish: () =>
      new Promise((resolve) => {
        whenDone = resolve;
        if (inFlight === undefined && waiting.length === 0) resolve();
      }),
  };
}

function settleCall(call: WriterCall, results: number[] | DatabaseError, index: number): void {
  if (results instanceof DatabaseError) {
    call.reject(results);
    return;
  }
  try {
    call.resolve(call.convert(results[2 * index] as number, results[2 * index + 1] as number));
  } catch (error) {
    call.reject(error);
  }
}

export function createReaderThread<Query>(worker: Worker): {
  ask(query: Query): Promise<unknown>;
  finish: () => Promise<void>;
} {
  const open = new Map<number, Call>();
  let waiting: { id: number; query: Query }[] = [];
  let lastId = 0;
  let whenDone: (() => void) | undefined;

  function flush(): void {
    worker.postMessage(waiting);
    waiting = [];
  }

  worker.on("message", (answers: { id: number; value?: unknown; error?: { code: string; message: string } }[]) => {
    for (const { id, value, error } of answers) {
      const call = open.get(id);
      open.delete(id);
      if (error === undefined) call?.resolve(value);
      else call?.reject(new DatabaseError(error.code, error.message));
    }
    if (open.size === 0) whenDone?.();
  });

  return {
    ask: (query) =>
      new Promise((resolve, reject) => {
        if (whenDone !== undefined) throw closed();
        const id = ++lastId;
        open.set(id, { resolve, reject });
        waiting.push({ id, query });
        if (waiting.length === 1) setImmediate(flush);
      }),
    finish: () =>
      new Promise((resolve) => {
        whenDone = resolve;
        if (open.size === 0) resolve();
      }),
  };
}

function closed(): DatabaseError {
  return new DatabaseError("", "the log is closed");
}
