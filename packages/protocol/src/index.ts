/** The vocabulary of Millrace. Runs anywhere: no I/O, no Node modules. */

// Events: the envelope, and the one function that reads what comes from outside

export type { EventInput, EventSource, StreamEvent } from "./event.ts";
export { type ParsedEvent, type ParseOptions, parseEventInput } from "./parse-event.ts";

// Built-in event types

export { builtinPrefix, defineContract, type EventContract, shortPrefix } from "./contract.ts";
export { compileCron } from "./contracts/cron.ts";
export { canonicalType, contractFor, contracts, isUnderPrefix } from "./contracts.ts";
export { payloadSchema } from "./json-schema.ts";
export type { BuiltinEvent, BuiltinPayloads, BuiltinPayloadsByName, BuiltinType, Schedule } from "./payloads.ts";

// Processors

export {
  type Delivered,
  type Driver,
  type DriverSettings,
  type Heard,
  hear,
  nextStep,
  type Step,
  startDriver,
} from "./driver.ts";
export type {
  CatchUpArguments,
  HookAppend,
  HookArguments,
  HookSurroundings,
  Interrupted,
  Logger,
  OpenWork,
  Work,
} from "./hook.ts";
export {
  type BuiltinProcessor,
  type DueEvent,
  defineProcessor,
  type EventsOf,
  type Judged,
  type Processor,
} from "./processor.ts";
export { reduceOnce } from "./reduce-once.ts";
export { type SourceFiles, sourceMain } from "./source-main.ts";
export type { OutputOf, SchemaIssue, SchemaResult, StandardSchema } from "./standard-schema.ts";
export { jsonStateFault } from "./state-fault.ts";
export { isThenable } from "./thenable.ts";

// Consumers: what runs the driver, in the engine and elsewhere

export type { Clock, Random } from "./clock.ts";
export { type Admitted, admit } from "./delivery/admit.ts";
export { Consumer } from "./delivery/consumer.ts";
export { isAbout, isReport } from "./delivery/facts.ts";
export {
  type ElsewhereProcessor,
  FoldError,
  type Folded,
  InterruptedError,
  isFoldError,
  isInterruptedError,
  type Opening,
} from "./delivery/folded.ts";
export { HopelessError, LaterError } from "./delivery/hook-run.ts";
export type {
  DeliveryHouse,
  Fact,
  HookMeter,
  HouseAppend,
  Page,
  ReadOptions,
  StoredState,
} from "./delivery/house.ts";
export { openFolded } from "./delivery/load.ts";
export { encodeProgress } from "./delivery/progress-row.ts";
export {
  type Beginning,
  type ConsumerSpec,
  consumerName,
  type DeliveryKind,
  type Halt,
  type Holding,
  type LoadedProcessor,
  nameOfConsumer,
  nameOfSlug,
} from "./delivery/spec.ts";
export { type Progress, progressAt } from "./progress.ts";

// Paths and projects

export { ancestors, isBelow, isCanonicalPath, parsePath, parseProject, resolvePath } from "./paths.ts";

// JSON

export { isJsonObject, type JsonObject, type JsonValue, jsonFault, sortedJson } from "./json.ts";

// Cursors of remote processors

export {
  type CursorHolder,
  parseRemoteCursor,
  type RemoteCursor,
  type RemoteCursorInput,
  runtimeIdPattern,
} from "./cursors.ts";

// Secrets

export {
  mayBeSentTo,
  parseSecretHost,
  type SecretHost,
  type SecretInput,
  type SecretNote,
  secretNamePattern,
  secretNames,
  withSecrets,
} from "./secrets.ts";

// Errors

export { type ErrorCode, type ErrorData, errorStatus, isStreamError, StreamError } from "./errors.ts";

// Limits

export {
  cursorEpochCharactersMax,
  defaultLimits,
  deliverySecondsMax,
  deployedCodeBytesMax,
  deployedMemoryMbMax,
  deployedMemoryMbMin,
  expressionCharactersMax,
  idempotencyKeyCharactersMax,
  intervalSecondsMin,
  type Limits,
  pathCharactersMax,
  scheduleSecondsMax,
  secretDescriptionCharactersMax,
  secretHostCharactersMax,
  secretHostsMax,
  segmentCharactersMax,
  slugCharactersMax,
  typeCharactersMax,
  unacknowledgedEventsMax,
} from "./limits.ts";
