/**
 * The payloads of built-in events as types, for whoever reads or appends them. The schemas in `contracts/` judge; that
 * both say the same is tested key by key (`payloads.test.ts`).
 */
import type { StreamEvent } from "./event.ts";
import type { JsonObject, JsonValue } from "./json.ts";

type Slug = { slug: string };
type Halt = {
  slug: string;
  offset: number;
  message: string;
  attempts?: number;
  howToResume?: string;
  /** Offset of the configuration or resumption that began what ended here. */
  startedBy?: number;
};
/** `configuration` is there where that stands in a stream above. */
type InheritableHalt = Halt & { configuration?: { streamPath: string; offset: number } };
type Resumption = { slug: string; from?: "cursor" | "head" | number };

/** Of a deployed processor, beside its code. */
type Deployment = {
  slug: string;
  env?: { [name: string]: string };
  startFrom?: "start" | "end" | number;
  includeChildren?: boolean;
  limits?: { cpuMs?: number; memoryMb?: number; timeoutMs?: number };
  compatibilityDate?: string;
  compatibilityFlags?: string[];
  outboundGateway?: {
    entrypoint: "DynamicWorkerEgressGateway";
    props?: { secretHeaderName?: string; secretHeaderValue?: string };
  };
};

/** By what stands behind the prefix of built-in types. */
export type BuiltinPayloadsByName = {
  initialized: { projectSlug: string; path: string; streamId: string };
  "child-stream-created": { childPath: string; createdBy?: { streamPath: string; offset: number } };
  "child-stream-deleted": { childPath: string; head: number };
  "metadata-updated": { metadata: JsonObject };
  "invalid-event-appended": { rawInput: JsonValue; error: string; contentType?: string };
  "error-occurred": {
    message: string;
    about?: { kind: string; slug: string; offset: number };
    error?: JsonValue;
  };
  paused: {
    reason?: string;
    cause?: {
      kind: "rate" | "depth" | "budget" | "person";
      chain?: { streamPath: string; offset: number }[];
      limit?: number;
      observed?: number;
    };
  };
  resumed: { reason?: string };
  "circuit-breaker-configured": { burstCapacity: number; refillRatePerMinute: number; maxDepth?: number };
  "append-scheduled": {
    slug: string;
    append: { type: string; payload?: JsonValue; metadata?: JsonObject };
    schedule: Schedule;
    missed?: "fire-once" | "skip";
  };
  "schedule-cancelled": Slug;
  "schedule-finished": { slug: string; outcome: "succeeded" | "failed" | "skipped" };
  "jsonata-transformer-configured": { slug: string; matcher: string; transform: string };
  "jsonata-transformer-removed": Slug;
  "jsonata-transformer-halted": Halt;
  "jsonata-transformer-resumed": Resumption;
  "subscription/configured": {
    slug: string;
    type: "webhook" | "websocket" | "stream";
    callbackUrl?: string;
    path?: string;
    jsonataFilter?: string;
    jsonataTransform?: string;
    headers?: { [name: string]: string };
    signingSecret?: string;
    timeoutSeconds?: number;
    startFrom?: "start" | "end" | number;
  };
  "subscription/removed": { slug: string; reason?: string };
  "subscription/halted": Halt;
  "subscription/resumed": Resumption;
  "subscription/event-parked": {
    slug: string;
    offset: number;
    status?: number;
    message: string;
    attempts?: number;
  };
  "subscription/event-replay-requested": { slug: string; offset: number };
  "dynamic-worker/configured": Deployment & {
    script?: string;
    modules?: { [name: string]: string };
    main?: string;
  };
  "dynamic-worker/source-configured": Deployment & {
    files: { [name: string]: string };
    packageJson?: JsonObject;
    main?: string;
  };
  "dynamic-worker/env-var-set": { key: string; value: string };
  "dynamic-worker/removed": Slug;
  "dynamic-worker/halted": InheritableHalt;
  "dynamic-worker/resumed": Resumption;
  "webhook-response-configured": { slug: string; matcher: string; response: string };
  "html-renderer-configured": { slug: string; matcher: string; template: string };
};

export type Schedule =
  | { kind: "once-at"; at: string }
  | { kind: "once-in"; delaySeconds: number }
  | { kind: "every"; intervalSeconds: number }
  | { kind: "cron"; cron: string; timezone?: string };

/** By canonical type, which is what is stored. */
export type BuiltinPayloads = {
  [Name in keyof BuiltinPayloadsByName as `https://events.iterate.com/events/stream/${Name}`]: BuiltinPayloadsByName[Name];
};

export type BuiltinType = keyof BuiltinPayloads;

/** A stored built-in event. As a union its payload is known where its `type` was looked at. */
export type BuiltinEvent<Type extends BuiltinType = BuiltinType> = {
  [Each in Type]: StreamEvent<BuiltinPayloads[Each]> & { type: Each };
}[Type];
