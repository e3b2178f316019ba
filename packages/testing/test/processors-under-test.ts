/** Processors that the tests of the helpers share. */
import { defineProcessor, type Processor } from "@millrace/protocol";

export const pingPong: Processor<{ pings: number }> = defineProcessor({
  slug: "ping-pong",
  initialState: { pings: 0 },
  reduce: ({ state, event }) => (event.type === "ping" ? { pings: state.pings + 1 } : state),
  async afterAppend({ event, state, append }) {
    if (event.type === "ping") await append({ type: "pong", payload: { pings: state.pings, to: "you" } });
  },
});

/** Asks somebody outside, answers with what that says, and stops when it is told to. */
export function asking(ask: (signal: AbortSignal) => Promise<string>): Processor<{ open: string | null }> {
  return defineProcessor<{ open: string | null }>({
    slug: "asking",
    initialState: { open: null },
    reduce({ state, event }) {
      if (event.type === "question") return { open: String(event.payload) };
      return event.type === "answer" || event.type === "never-mind" ? { open: null } : state;
    },
    afterAppend({ event, waitUntil, abort }) {
      if (event.type === "never-mind") abort("ask");
      if (event.type !== "question") return;
      waitUntil("ask", async ({ signal, append, state }) => {
        const payload = await ask(signal);
        if (state().open !== null) await append({ type: "answer", payload });
      });
    },
    async afterCatchUp({ state, append, interrupted }) {
      const work = interrupted?.work.map(({ name }) => name) ?? [];
      if (state.open !== null) await append({ type: "answer", payload: { late: state.open, interrupted: work } });
    },
  });
}

/** Fails at its first attempts. */
export function failing(times: number): Processor<null> {
  return defineProcessor<null>({
    slug: "failing",
    initialState: null,
    reduce: () => null,
    async afterAppend({ event, attempt, append }) {
      if (event.type !== "ping") return;
      if (attempt <= times) throw new Error(`no, not at attempt ${attempt}`);
      await append({ type: "pong", payload: { attempt } });
    },
  });
}

/** The message of what was thrown; fails when nothing was. */
export async function messageOfFailure(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("nothing was thrown");
}
