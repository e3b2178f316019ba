/** Which subscriptions a stream has. Where they deliver to stays in the event that says so. */
import { type BuiltinProcessor, isJsonObject } from "@millrace/protocol";
import { type ConfigurationsState, createConfigurations } from "./configurations.ts";

export const subscriptions: BuiltinProcessor<ConfigurationsState> = createConfigurations({
  slug: "subscriptions",
  configured: "https://events.iterate.com/events/stream/subscription/configured",
  removed: "https://events.iterate.com/events/stream/subscription/removed",
  halted: "https://events.iterate.com/events/stream/subscription/halted",
  resumed: "https://events.iterate.com/events/stream/subscription/resumed",
  limit: "subscriptionsPerStream",
  unit: "subscriptions",
  wantsSecret: (payload) => isJsonObject(payload) && payload.type !== "stream" && payload.signingSecret === undefined,
});
