/**
 * Every limit of the system by name, unit last. PROTOCOL.md section 5 lists the same; a test compares the two.
 * A limit protects the process from one caller, so each is enforced where the bytes or events first arrive.
 */
export interface Limits {
  /** One event as received. Larger values belong in a blob store, with their address in the event. */
  eventBytes: number;
  /** `dynamic-worker/configured` only: bundled code is larger than data. */
  deployedEventBytes: number;
  /** One atomic batch. A commit is held in memory while it waits for the disk. */
  batchEvents: number;
  batchBytes: number;
  /** One page of a finite JSON read. */
  pageEvents: number;
  pageBytes: number;
  /** Deeper nesting overflows the stack of naive consumers long before it overflows ours. */
  jsonDepth: number;
  /** Live and running reads. Each costs a socket and at most one chunk of memory. */
  readersPerProcess: number;
  readersPerStream: number;
  /** Streams held in memory; the least recently used leave and are loaded again from snapshot and tail. */
  openStreams: number;
  /** Appends that wait for their turn in one stream, before 429. */
  waitingAppends: number;
  waitingBytes: number;
  /** Time for a request to arrive whole. */
  requestMs: number;
  /** All request headers together, checked by the host before a request exists. */
  headerBytes: number;
  /** One JSONata expression over one event. */
  expressionMs: number;
  /** Of the answer to a webhook delivery; what comes behind that is not read. */
  deliveryResponseBytes: number;
  subscriptionsPerStream: number;
  transformersPerStream: number;
  processorsPerStream: number;
  schedulesPerStream: number;
  /** Each may be evaluated before a POST is answered. */
  webhookResponsesPerStream: number;
  /** Of remote processors. */
  cursorsPerStream: number;
  /** `progress` and `interrupted` of one cursor together, as JSON. All of them are in memory with their stream. */
  cursorBytes: number;
  /** A holder of a cursor that was not heard for so long may be replaced. */
  cursorSilenceMs: number;
  secretsPerProject: number;
  secretBytes: number;
}

const mebibyte = 1024 * 1024;

export const defaultLimits: Readonly<Limits> = Object.freeze({
  eventBytes: 1 * mebibyte,
  deployedEventBytes: 6 * mebibyte,
  batchEvents: 1_000,
  batchBytes: 8 * mebibyte,
  pageEvents: 1_000,
  pageBytes: 8 * mebibyte,
  jsonDepth: 64,
  readersPerProcess: 10_000,
  readersPerStream: 2_000,
  openStreams: 10_000,
  waitingAppends: 10_000,
  waitingBytes: 16 * mebibyte,
  requestMs: 30_000,
  headerBytes: 16 * 1024,
  expressionMs: 100,
  deliveryResponseBytes: 64 * 1024,
  subscriptionsPerStream: 200,
  transformersPerStream: 100,
  processorsPerStream: 20,
  schedulesPerStream: 10_000,
  webhookResponsesPerStream: 10,
  cursorsPerStream: 100,
  cursorBytes: 64 * 1024,
  cursorSilenceMs: 30_000,
  secretsPerProject: 1_000,
  secretBytes: 64 * 1024,
});

/** Parts of the envelope. They are properties of the protocol itself, so no server may set them otherwise. */
export const pathCharactersMax = 1_023;
export const segmentCharactersMax = 255;
export const typeCharactersMax = 2_048;
export const idempotencyKeyCharactersMax = 255;
/** It is part of the keys of what a remote processor appends. */
export const cursorEpochCharactersMax = 255;

/** Parts of built-in payloads. A contract is the same everywhere, so these are not configurable either. */
export const slugCharactersMax = 255;
/** A JSONata expression is compiled on the append path; longer ones would hold up every other stream. */
export const expressionCharactersMax = 65_536;
/** All modules of one deployed processor together, as UTF-8. */
export const deployedCodeBytesMax: number = 4 * mebibyte;
/**
 * What deployed code may hold that says so, MiB. With less not much more than the runtime fits in, and more than one
 * process may have is left to nobody.
 */
export const deployedMemoryMbMin = 16;
export const deployedMemoryMbMax = 1_024;
/** Faster than this a schedule is a busy loop. */
export const intervalSecondsMin = 0.05;
/** One hundred years: a due time must stay a date that every consumer can write down. */
export const scheduleSecondsMax = 3_155_760_000;
/** How long one webhook delivery may take. */
export const deliverySecondsMax = 15;
/** Over one WebSocket, sent and not acknowledged: enough for 20,000 events a second to a peer that takes 5 ms. */
export const unacknowledgedEventsMax = 100;

/** Parts of a secret: each is shown in lists and judged at every use. */
export const secretHostsMax = 100;
export const secretHostCharactersMax = 300;
export const secretDescriptionCharactersMax = 1_000;
