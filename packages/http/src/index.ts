/** The engine behind a fetch handler: routes, negotiation, access. */

export type { Assets } from "./documents/docs-page.ts";
export type { Incoming, Outgoing } from "./exchange.ts";
export type { AccessOptions } from "./guard.ts";
export { createHandler, type Handler, type HandlerOptions, type RequestNote } from "./handler.ts";
export { counter, gauge, type Metric, type Sample } from "./metrics/exposition.ts";
export { problem } from "./problem.ts";
