/**
 * The processor of the behaviour suite: one file, the same everywhere. It imports nothing and knows no test: what it
 * saw it says in events, on its own stream or below it.
 */
import type { Processor } from "@millrace/protocol";

interface State {
  sum: number;
  asked: number;
  chunks: number;
}

export default {
  slug: "behaving",
  initialState: { sum: 0, asked: 0, chunks: 0 },

  reduce({ state, event: { type, payload } }) {
    if (type === "number") return { ...state, sum: state.sum + (payload as number) };
    if (type === "ask") return { ...state, asked: state.asked + 1 };
    if (type === "chunk") return { ...state, chunks: state.chunks + 1 };
    if (type === "poison") throw new Error("cannot fold this");
    return undefined;
  },

  async afterAppend({ event, state, append, attempt, waitUntil, abort }) {
    const { type, payload, offset } = event;
    if (type === "number") await append({ type: "summed", payload: { of: offset, sum: state.sum } });
    if (type === "tell") {
      await append({ type: "heard" });
      await append({ path: "./boris", event: { type: "work" } });
    }
    if (type === "lose") await append({ path: payload as string, event: { type: "never" } });
    if (type === "try") {
      await append({ type: "tried", payload: { attempt } });
      if (attempt === 1) throw new Error("not yet");
      await append({ type: "done", payload: { attempt } });
    }
    if (type === "ask") {
      abort("answer");
      waitUntil(`answer ${payload}`, async ({ append, signal, state }) => {
        await append({ type: "chunk", payload: { number: payload, asked: state().asked } });
        if (payload === 2) return;
        await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      });
      if (payload === 2) abort("answer 1");
    }
    if (type === "hold") {
      waitUntil("holding", async ({ append, signal }) => {
        await append({ type: "chunk" });
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        const refusal = await append({ type: "chunk" }).then(
          () => null,
          ({ name, code, data }) => ({ name, code, data }),
        );
        await append({ path: "./seen", event: { type: "ended", payload: { reason: signal.reason.message, refusal } } });
      });
    }
    if (type === "check") await append({ type: "checked" });
  },

  async afterCatchUp({ append, state, interrupted }) {
    for (const { name, offset } of interrupted?.work ?? []) {
      await append({ type: "interrupted", payload: { name, offset, chunks: state.chunks } });
    }
  },
} satisfies Processor<State>;
