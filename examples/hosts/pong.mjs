/** The processor that every host here runs: a pong for each ping, with how many there were. */
import { defineProcessor } from "@millrace/sdk/processor";

export const pong = defineProcessor({
  slug: "pong",
  initialState: { pings: 0 },
  reduce: ({ state, event }) => (event.type === "ping" ? { pings: state.pings + 1 } : undefined),
  async afterAppend({ event, state, append }) {
    if (event.type === "ping") await append({ type: "pong", payload: state });
  },
});
