/** The Node host: a whole server as a function, and the adapters that it picks. */
export { type DataLock, lockData } from "./data-lock.ts";
export { createDocumentationAssets } from "./documentation-assets.ts";
export { createExpressions, type ExpressionsOptions } from "./expressions/expressions.ts";
export { createNodeServer } from "./node-server.ts";
export type { Lookup } from "./outbound/open-socket.ts";
export { createOutbound, type OutboundOptions } from "./outbound/outbound.ts";
export { createProcessMetrics } from "./process-metrics.ts";
export {
  createEgressGate,
  type EgressAttribution,
  type EgressGate,
  type EgressGateOptions,
  type EgressLimits,
} from "./sandbox/egress/egress-gate.ts";
export { createEgressRules, type EgressOptions, type EgressRule } from "./sandbox/egress/egress-rules.ts";
export { type OwnNames, ownOrigins } from "./sandbox/egress/own-origins.ts";
export type { EgressCause } from "./sandbox/egress/own-server.ts";
export type { SandboxSettings } from "./sandbox/sandbox.ts";
export { isSandboxEnd, type SandboxEnd } from "./sandbox/sandbox-end.ts";
export { createFileSecrets, type FileSecretsOptions } from "./secrets/file-secrets.ts";
export type { KeptSecrets } from "./secrets/kept-secrets.ts";
export { createMemorySecrets, type MemorySecretsOptions } from "./secrets/memory-secrets.ts";
export { type RunningServer, type ServeOptions, serve } from "./serve.ts";
export { createSqliteDirectory, type SqliteOptions } from "./sqlite/sqlite-directory.ts";
export { systemClock, systemRandom } from "./system.ts";
