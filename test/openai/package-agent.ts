/**
 * An agent with OpenAI's own package: what `millrace deploy` bundles, and a sandbox runs, in openai-package.test.ts.
 * Written as their documents have it; only the way to the network is that of the hook.
 */
import { defineProcessor } from "@millrace/sdk/processor";
import OpenAI from "openai";

type Input = { role: "user" | "assistant"; content: string };

export default defineProcessor<{ history: Input[]; asked: number }>({
  slug: "package-agent",
  initialState: { history: [], asked: 0 },

  reduce({ state, event }) {
    const { content = "" } = event.payload as { content?: string };
    if (event.type === "asked") return { history: [...state.history, { role: "user", content }], asked: event.offset };
    if (event.type === "answered") return { ...state, history: [...state.history, { role: "assistant", content }] };
    return undefined;
  },

  afterAppend({ event, state, env, fetch, waitUntil, abort }) {
    if (event.type === "stop") abort(`answer-${state.asked}`);
    if (event.type !== "asked") return;
    waitUntil(`answer-${event.offset}`, async ({ signal, append }) => {
      const openai = new OpenAI({ apiKey: env.OPENAI_API_KEY, baseURL: env.OPENAI_BASE_URL, fetch, maxRetries: 0 });
      try {
        const stream = openai.responses.stream({ model: "gpt-5.4", input: state.history }, { signal });
        for await (const part of stream) {
          if (part.type === "response.output_text.delta") await append({ type: "said", payload: { text: part.delta } });
        }
        const { output_text: content, usage } = await stream.finalResponse();
        await append({ type: "answered", payload: { content, tokens: usage?.total_tokens ?? 0 } });
      } catch (error) {
        const { name, message, status } = error as InstanceType<typeof OpenAI.APIError>;
        await append({ type: "not-answered", payload: { name, message, status: status ?? null } });
      }
    });
  },
});
