/** Which deployed processors a stream has. Their code stays in the event that brought it. */
import type { BuiltinProcessor } from "@millrace/protocol";
import { type ConfigurationsState, createConfigurations } from "./configurations.ts";

export const processors: BuiltinProcessor<ConfigurationsState> = createConfigurations({
  slug: "processors",
  configured: "https://events.iterate.com/events/stream/dynamic-worker/configured",
  removed: "https://events.iterate.com/events/stream/dynamic-worker/removed",
  halted: "https://events.iterate.com/events/stream/dynamic-worker/halted",
  resumed: "https://events.iterate.com/events/stream/dynamic-worker/resumed",
  limit: "processorsPerStream",
  unit: "processors",
  inheritable: true,
});
