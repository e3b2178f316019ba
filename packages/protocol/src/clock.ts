/** Time and chance, injected: tests and the simulation own them, a host passes the system's. */
export interface Clock {
  /** Milliseconds since 1970. May jump in either direction; nothing may break when it does. */
  now(): number;
  /** Milliseconds since some moment, as finely as can be had. For durations: it never jumps. */
  elapsedMs(): number;
  /** Calls `run` once, `delayMs` from now at the earliest. Returns how to cancel it. A timer never keeps a process alive. */
  setTimer(delayMs: number, run: () => void): () => void;
}

export interface Random {
  /** An id that nobody can guess or meet twice: 1 to 64 characters of A-Z a-z 0-9 _ -. */
  id(): string;
  /** A number from 0 up to, not including, 1: jitter. */
  fraction(): number;
}
