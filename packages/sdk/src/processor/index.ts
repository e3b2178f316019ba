/** Processors: defined once, run on a laptop or wherever JavaScript runs, on streams of a server anywhere. */
export {
  type CatchUpArguments,
  defineProcessor,
  type EventInput,
  type EventsOf,
  type HookAppend,
  type HookArguments,
  type Interrupted,
  type Logger,
  type Processor,
  type StandardSchema,
  type StreamEvent,
} from "@millrace/protocol";
export { createEventsClient, type EventsClient } from "../client.ts";
export { type Cursors, memoryCursors, type StoredCursor } from "./cursors.ts";
export type { ProcessorObserver } from "./observed.ts";
export { type ProcessorRun, type RunOptions, runProcessor } from "./run-processor.ts";
export { type ServerCursorsOptions, serverCursors } from "./server-cursors.ts";
export {
  type AcceptedSocket,
  createSocketHandler,
  type SocketHandler,
  type SocketHandlerOptions,
  type UpgradeHeaders,
} from "./socket-handler.ts";
export { createWebhookHandler, type WebhookHandler, type WebhookHandlerOptions } from "./webhook-handler.ts";
