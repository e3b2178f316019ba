/** For authors of processors: a stream to test one in. For authors of adapters: suites, and time and chance to own. */

// Processors

export { checkPurity } from "./check-purity.ts";
export type { Expected, ExpectedEvent } from "./expected-outcome.ts";
export type { ExportedLog } from "./exported-log.ts";
export { type Checkable, type Given, given, type Happening, type Outcome, type WhenOptions } from "./given.ts";
export { type RefoldOptions, refold } from "./refold.ts";
export type { EventLike } from "./stored-events.ts";
export { createTestStream, type ProcessorError, type TestStream, type TestStreamOptions } from "./test-stream.ts";
export { type TimePerEvent, timePerEvent } from "./time-per-event.ts";

// Adapters

export { describeExpressions } from "./describe-expressions.ts";
export { describeLog, type SuiteCase } from "./describe-log.ts";
export { describeOutbound } from "./describe-outbound.ts";
export { describeOutboundStreams } from "./describe-outbound-streams.ts";
export { describeSandbox } from "./describe-sandbox.ts";
export { describeSecrets, type SecretsStore, secretsSuiteLimits } from "./describe-secrets.ts";
export { createInProcessExpressions } from "./in-process-expressions.ts";
export { createInProcessSandbox, type InProcessSandbox } from "./in-process-sandbox.ts";
export { type Intercept, type InterceptedCall, interceptDirectory } from "./intercept-directory.ts";
export type { LogStore } from "./log-suite/log-case.ts";
export { createManualClock, type ManualClock, manualClockStart } from "./manual-clock.ts";
export type { AcceptingPeer, ListeningReceiver, OutboundFixture } from "./outbound-suite/outbound-case.ts";
export type {
  OpenStreams,
  OutboundStreamsFixture,
  StreamReceived,
  StreamReceiver,
  StreamReceiverAnswer,
} from "./outbound-suite/stream-case.ts";
export type { SandboxFixture } from "./sandbox-suite/sandbox-case.ts";
export { createSeededRandom, type SeededRandom } from "./seeded-random.ts";
export {
  createSimulatedNetwork,
  type NetworkNeeds,
  type ReceivedRequest,
  type Receiver,
  type ReceiverAnswer,
  type SimulatedNetwork,
} from "./simulated-network.ts";
export { createSimulatedStreams, type SimulatedStreams } from "./simulated-streams.ts";
export type { PeerSocket, PeerTalk, ReceivedUpgrade, SocketPeer } from "./socket-peer.ts";
