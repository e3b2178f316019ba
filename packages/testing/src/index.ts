/** Suites that every adapter of a port passes, and time and chance that a test owns. */
export { describeExpressions } from "./describe-expressions.ts";
export { describeLog, type SuiteCase } from "./describe-log.ts";
export { describeOutbound } from "./describe-outbound.ts";
export { describeSecrets, type SecretsStore, secretsSuiteLimits } from "./describe-secrets.ts";
export { createInProcessExpressions } from "./in-process-expressions.ts";
export { type Intercept, type InterceptedCall, interceptDirectory } from "./intercept-directory.ts";
export type { LogStore } from "./log-suite/log-case.ts";
export { createManualClock, type ManualClock, manualClockStart } from "./manual-clock.ts";
export type { ListeningReceiver, OutboundFixture } from "./outbound-suite/outbound-case.ts";
export { createSeededRandom, type SeededRandom } from "./seeded-random.ts";
export {
  createSimulatedNetwork,
  type NetworkNeeds,
  type ReceivedRequest,
  type Receiver,
  type ReceiverAnswer,
  type SimulatedNetwork,
} from "./simulated-network.ts";
