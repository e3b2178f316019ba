/** As `examples/hosts/pong.mjs`, but it first asks what the ping names: for hooks that outlast a request. */
import { defineProcessor } from "@millrace/sdk/processor";

export const pong = defineProcessor({
  slug: "pong",
  initialState: { pings: 0 },
  reduce: ({ state, event }) => (event.type === "ping" ? { pings: state.pings + 1 } : undefined),
  async afterAppend({ event, state, append, fetch, signal }) {
    if (event.type !== "ping") return;
    if (event.payload.ask !== undefined) await (await fetch(event.payload.ask, { signal })).text();
    await append({ type: "pong", payload: state });
  },
});
