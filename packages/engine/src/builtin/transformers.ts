/** Which transformers a stream has. Their expressions stay in the event that brought them. */
import type { BuiltinProcessor } from "@millrace/protocol";
import { type ConfigurationsState, createConfigurations } from "./configurations.ts";

export const transformers: BuiltinProcessor<ConfigurationsState> = createConfigurations({
  slug: "transformers",
  configured: "https://events.iterate.com/events/stream/jsonata-transformer-configured",
  removed: "https://events.iterate.com/events/stream/jsonata-transformer-removed",
  halted: "https://events.iterate.com/events/stream/jsonata-transformer-halted",
  resumed: "https://events.iterate.com/events/stream/jsonata-transformer-resumed",
  limit: "transformersPerStream",
  unit: "transformers",
});
