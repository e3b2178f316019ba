/**
 * An agent that gives work to another one below it, goes to sleep, and wakes when the result is there. Both are streams,
 * and what they say to each other are events, so everything can be read afterwards, and nothing waits in memory.
 *
 *     npx millrace run examples/07-sub-agent.ts --path /examples/anna --children
 *
 * and in another terminal: npx millrace append /examples/anna asked --payload '{"question":"How many words are these?"}'
 * then: npx millrace read /examples/anna --children
 */
import { defineProcessor } from "@millrace/sdk/processor";

interface State {
  /** What was asked and has no answer yet, by the offset of the question. */
  open: Record<number, string>;
}

export default defineProcessor<State>({
  slug: "sub-agent",
  initialState: { open: {} },

  reduce({ state, event }) {
    if (event.type === "asked") {
      return { open: { ...state.open, [event.offset]: (event.payload as { question: string }).question } };
    }
    if (event.type === "work-done") {
      const { [(event.payload as { task: number }).task]: _, ...open } = state.open;
      return { open };
    }
    return undefined;
  },

  async afterAppend({ event, state, append }) {
    const payload = event.payload as { task: number; question: string; words: number };
    switch (event.type) {
      // Anna: boris is born with his first piece of work.
      case "asked":
        await append({
          path: "./boris",
          event: { type: "work-given", payload: { task: event.offset, question: payload.question } },
        });
        break;
      // Boris: here a model would be asked.
      case "work-given": {
        const words = payload.question.split(/\s+/).length;
        await append({ path: "..", event: { type: "work-done", payload: { task: payload.task, words } } });
        break;
      }
      // Anna again, maybe days later.
      case "work-done":
        await append({
          type: "answered",
          payload: { text: `There are ${payload.words} words.`, stillOpen: Object.keys(state.open).length },
        });
        break;
    }
  },
});
