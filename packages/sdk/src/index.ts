/** The client of a Millrace server. `fetch` is all it needs: it runs in Node, browsers and workers. */

export type {
  BuiltinEvent,
  BuiltinPayloads,
  BuiltinType,
  EventInput,
  EventSource,
  JsonObject,
  JsonValue,
  RemoteCursor,
  RemoteCursorInput,
  Schedule,
  SecretInput,
  SecretNote,
  StreamEvent,
} from "@millrace/protocol";
export type { Append, Appended, AppendedBatch, AppendMany, AppendOne, AppendOptions } from "./append.ts";
export {
  type CallOptions,
  type ChildrenOptions,
  type ConsumerState,
  type CursorsClient,
  createEventsClient,
  type DeleteOptions,
  type Deletion,
  type EventsClient,
  type OnEvent,
  type ProcessorState,
  type ProcessorStateOptions,
  type ScheduleState,
  type SecretsClient,
  type StreamState,
  type StreamSummary,
  type StreamsOptions,
} from "./client.ts";
export type { ClientOptions } from "./connection.ts";
export {
  type ClientErrorData,
  isMillraceError,
  isTransient,
  MillraceError,
  type MillraceErrorCode,
  type MillraceErrorData,
} from "./errors.ts";
export type { EventStream } from "./event-stream.ts";
export type { CaughtUp, Disconnected, StreamOptions } from "./live.ts";
export type { LogLevel, LogLine } from "./log-line.ts";
export type { LogsOptions } from "./logs.ts";
export type { ReadOptions } from "./pages.ts";
export type { RetryOptions } from "./retry.ts";
export type { Answer, Sending, Transport } from "./transport.ts";
