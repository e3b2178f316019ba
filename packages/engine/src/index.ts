/** The stream: append, readers, consumers, ports. No Node imports; the host picks the adapters. */
export { mayCarryCode, type SplitRecord, splitCode } from "./code-of-record.ts";
export { type Configuration, processorKind } from "./consumer/processors.ts";
export type { ConsumerKind, ConsumerPlace } from "./consumer/spec.ts";
export { createEngine } from "./engine.ts";
export type { AppendInput, AppendOptions, Deleted, Engine, EngineOptions, Gauges } from "./engine-interface.ts";
export type { Trouble } from "./health.ts";
export { createMemoryDirectory } from "./memory/memory-directory.ts";
export { createHistogram, type Histogram, type Meter, observe } from "./meter.ts";
export type { Bundled, BundleProblem, Bundler, BundlerInput } from "./ports/bundler.ts";
export type { Clock, Random } from "./ports/clock.ts";
export {
  type Evaluated,
  ExpressionError,
  type Expressions,
  isExpressionError,
  type Rule,
} from "./ports/expressions.ts";
export {
  type Claim,
  type Commit,
  type Committed,
  type Directory,
  type DueStream,
  type Head,
  HeadConflict,
  type KeyEntry,
  type LoadedStream,
  type PositionedRecords,
  type ProgressRow,
  type ReadRange,
  type Snapshot,
  type StreamLog,
  type StreamSummary,
  type Wake,
  type Wakes,
} from "./ports/log.ts";
export {
  isOutboundError,
  type Outbound,
  OutboundError,
  type OutboundRequest,
  type OutboundResponse,
  type OutboundSocket,
  type SocketRequest,
} from "./ports/outbound.ts";
export type {
  HeaderList,
  OutboundStreams,
  StreamAnswer,
  StreamRequest,
  UpgradeAnswer,
  UpgradeRequest,
} from "./ports/outbound-streams.ts";
export {
  type CodeError,
  isSandboxError,
  noCalls,
  type Sandbox,
  type SandboxCall,
  type SandboxCalls,
  type SandboxCode,
  type SandboxDelivery,
  type SandboxDescription,
  SandboxError,
  type SandboxedProcessor,
  type SandboxIsolation,
  type SandboxLimits,
  type SandboxPlace,
  type SandboxResult,
} from "./ports/sandbox.ts";
export { isSecretError, SecretError, type Secrets } from "./ports/secrets.ts";
export type { ProcessorState } from "./processor-state.ts";
export type { ReadItem, ReadRequest } from "./read.ts";
export type { SubtreeCursor, SubtreeEvent, SubtreeItem, SubtreeRequest } from "./read-subtree.ts";
export { continuesBatch, decodeRecord, linePrefix, toLine, typeOfRecord } from "./record.ts";
export { boundedDetails, boundedMessage } from "./said/bounded.ts";
export type { SaidItem, SaidLine, SaidRequest } from "./said/read-said.ts";
export { type Level, levels, type Said, type SaidLogger } from "./said/said.ts";
export { type Bridge, createBridge } from "./sandbox/bridge.ts";
export { codeErrorOf, errorOf } from "./sandbox/code-error.ts";
export { createHarness, type Harness, type HarnessHost } from "./sandbox/harness.ts";
export type { ConsumerState, StreamState } from "./state-view.ts";
export type { Appended } from "./stream.ts";
