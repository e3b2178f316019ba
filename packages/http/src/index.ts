/** The engine behind a fetch handler: routes, negotiation, access. */
export type { Incoming, Outgoing } from "./exchange.ts";
export type { AccessOptions } from "./guard.ts";
export { createHandler, type Handler, type HandlerOptions } from "./handler.ts";
export { problem } from "./problem.ts";
