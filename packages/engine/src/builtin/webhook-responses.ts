/** What a POST is answered with instead of the stored event: where the expressions of each rule stand. */
import { type BuiltinProcessor, StreamError } from "@millrace/protocol";

export interface WebhookResponsesState {
  /** In the order in which the slugs were first configured. */
  rules: readonly { slug: string; configuredAt: number }[];
}

const configured = "https://events.iterate.com/events/stream/webhook-response-configured";

export const webhookResponses: BuiltinProcessor<WebhookResponsesState> = {
  slug: "webhook-responses",
  version: 1,
  initialState: { rules: [] },

  beforeAppend({ state, judged }) {
    if (judged.event.type !== configured) return;
    const limit = judged.limits.webhookResponsesPerStream;
    const slug = slugOf(judged.event.payload);
    if (state.rules.length < limit || state.rules.some((rule) => rule.slug === slug)) return;
    const message = `This stream has ${limit} webhook responses already. Configure one of these anew.`;
    throw new StreamError("rate_limited", message, { limit, unit: "webhook responses of this stream" });
  },

  reduce({ state, event }) {
    if (event.type !== configured) return state;
    const rule = { slug: slugOf(event.payload), configuredAt: event.offset };
    const known = state.rules.some(({ slug }) => slug === rule.slug);
    const rules = known ? state.rules.map((each) => (each.slug === rule.slug ? rule : each)) : [...state.rules, rule];
    return { rules };
  },
};

/** Contracts have judged it. */
function slugOf(payload: unknown): string {
  return (payload as { slug: string }).slug;
}
