/** The built-ins that take part in every append, in the order in which they are asked. A new one is one line here. */
import type { BuiltinProcessor } from "@millrace/protocol";
import { circuitBreaker } from "./builtin/circuit-breaker.ts";
import { environment } from "./builtin/environment.ts";
import { lifecycle } from "./builtin/lifecycle.ts";
import { pause } from "./builtin/pause.ts";
import { processors } from "./builtin/processors.ts";
import { schedules } from "./builtin/schedules.ts";
import { sources } from "./builtin/sources.ts";
import { subscriptions } from "./builtin/subscriptions.ts";
import { transformers } from "./builtin/transformers.ts";
import { webhookResponses } from "./builtin/webhook-responses.ts";

// Each is called with the slice that it made itself, so the list need not know their types.
// biome-ignore lint/suspicious/noExplicitAny: a heterogeneous list; state.ts keeps slices and built-ins in one order
export const builtins: readonly BuiltinProcessor<any>[] = [
  lifecycle,
  pause,
  schedules,
  subscriptions,
  processors,
  sources,
  environment,
  transformers,
  webhookResponses,
  circuitBreaker,
];
