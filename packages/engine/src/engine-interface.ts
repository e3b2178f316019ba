/** What an engine is asked for, and what its host gives it: the contract of `createEngine`. */
import type { EventInput, EventSource, Limits, RemoteCursor, RemoteCursorInput } from "@millrace/protocol";
import type { ConsumerKind } from "./consumer/spec.ts";
import type { Trouble } from "./health.ts";
import type { Meter } from "./meter.ts";
import type { Bundler } from "./ports/bundler.ts";
import type { Clock, Random } from "./ports/clock.ts";
import type { Expressions } from "./ports/expressions.ts";
import type { Directory } from "./ports/log.ts";
import type { Outbound } from "./ports/outbound.ts";
import type { Sandbox, SandboxIsolation } from "./ports/sandbox.ts";
import type { Secrets } from "./ports/secrets.ts";
import type { ProcessorState } from "./processor-state.ts";
import type { ReadItem, ReadRequest } from "./read.ts";
import type { SubtreeItem, SubtreeRequest } from "./read-subtree.ts";
import type { SaidItem, SaidRequest } from "./said/read-said.ts";
import type { Said } from "./said/said.ts";
import type { StreamState } from "./state-view.ts";
import type { Appended } from "./stream.ts";

export interface EngineOptions {
  directory: Directory;
  clock: Clock;
  random: Random;
  limits?: Partial<Limits>;
  /** Evaluates JSONata. Without it there are no transformers, no subscriptions and no webhook responses. */
  expressions?: Expressions;
  /** With both of these and expressions, streams push: webhooks, and into other streams. */
  outbound?: Outbound;
  secrets?: Secrets;
  /** Runs what `dynamic-worker/configured` events bring. Without it they are stored and do nothing. */
  sandbox?: Sandbox;
  /** Bundles what `dynamic-worker/source-configured` events bring. Without it they are stored and do nothing. */
  bundler?: Bundler;
  /** Who acts on events beyond that: how each kind is configured in a stream, and where its code is. */
  consumers?: readonly ConsumerKind[];
  /** Hears what went wrong behind an answer: a log that cannot commit, an announcement that waits. */
  onFailure?(error: unknown): void;
  /** Hears what processors say by `logger` and `console`, so much of it as a log can bear. */
  onSaid?(said: Said): void;
}

export interface AppendInput {
  event: EventInput;
  idempotencyKey?: string;
  /** The text that was sent, when it was no event or was wrapped by the server: what a key is compared by. */
  sentText?: string;
}

export interface Deleted {
  path: string;
  head: number;
}

export interface Engine {
  readonly limits: Limits;
  /**
   * Appends one event, or a batch as one atomic commit. Resolves when it is on disk, with one result for each input.
   * Throws or rejects with StreamError `idempotency_conflict`, `offset_conflict`, `stream_paused`, `rate_limited`, `unavailable`
   */
  append(project: string, path: string, inputs: readonly AppendInput[], options: AppendOptions): Promise<Appended[]>;
  /**
   * JSON text that a POST which stored this event is to be answered with, where the stream says so. Undefined at once
   * where it does not. Never rejects.
   */
  answerTo(project: string, path: string, appended: Appended): Promise<string | undefined> | undefined;
  /** The signing secrets that were made for webhooks by this append, by slug. Shown once, to whoever configured them. */
  signingSecrets(project: string, path: string, appended: readonly Appended[]): Promise<Record<string, string>>;
  /** Reads as described in `ReadRequest`. The reader counts against the limits until it ends. */
  read(project: string, path: string, request: ReadRequest, signal: AbortSignal): AsyncGenerator<ReadItem>;
  /** Reads every stream at and below a path in the order of commits, on one connection. */
  readSubtree(
    project: string,
    prefix: string,
    request: SubtreeRequest,
    signal: AbortSignal,
  ): AsyncGenerator<SubtreeItem>;
  /** Reads what processors of the project said of late. It is in memory alone, and bounded. */
  readSaid(project: string, request: SaidRequest, signal: AbortSignal): AsyncGenerator<SaidItem>;
  /** @throws StreamError `not_found` */
  state(project: string, path: string): Promise<StreamState>;
  /** The state of a built-in or a consumer, now or at an offset. @throws StreamError `not_found` */
  processorState(project: string, path: string, slug: string, at: number | undefined): Promise<ProcessorState>;
  /** How far a remote processor has come on a stream, and who holds it. @throws StreamError `not_found` */
  cursor(project: string, path: string, slug: string): Promise<RemoteCursor>;
  /**
   * Moves it, and resolves when that is on disk. What says the same as before is a sign of life, and writes nothing.
   * Throws or rejects with StreamError `not_found`, `cursor_conflict`, `offset_conflict`, `too_large`, `rate_limited`, `unavailable`
   */
  putCursor(project: string, path: string, slug: string, input: RemoteCursorInput): Promise<RemoteCursor>;
  /**
   * Takes it away, whoever holds it: what that one says next is refused. Resolves when that is on disk.
   * Throws or rejects with StreamError `not_found`, `rate_limited`, `unavailable`
   */
  deleteCursor(project: string, path: string, slug: string): Promise<void>;
  list: Directory["list"];
  projects: Directory["projects"];
  /** Empties a path, with `children` everything below it too. Answers what there was. */
  delete(project: string, path: string, options: { children: boolean }): Promise<Deleted[]>;
  /** What was counted since the start. Only the engine writes it. */
  readonly meter: Readonly<Meter>;
  /** What is open, read and waiting now. */
  gauges(): Gauges;
  /** What keeps it from doing its work; empty when all is well. */
  troubles(): Promise<Trouble[]>;
  /** How deployed code is shut in, where it runs. */
  isolation?(): Promise<SandboxIsolation>;
  /** Ends readers, finishes what was begun, closes the log. */
  close(): Promise<void>;
}

export interface Gauges {
  openStreams: number;
  readers: number;
  /** Appends that wait for their turn, and their bytes. */
  waitingAppends: number;
  waitingBytes: number;
  /** On streams that are in memory. */
  consumers: number;
  /** Events that they have not acted on, together and of the one that is farthest behind. */
  consumerLag: number;
  consumerLagMax: number;
  /** Those that failed and wait for another attempt. */
  retryingConsumers: number;
  /** Streams that are to be opened in the near future for what they owe. */
  waitingWakes: number;
  /** Births and deletions that ancestors are yet to hear of, as far as they are remembered in memory. */
  waitingAnnouncements: number;
}

export interface AppendOptions {
  /** Size as received. */
  bytes: number;
  /** Set when code wrote it. */
  source?: EventSource;
}
