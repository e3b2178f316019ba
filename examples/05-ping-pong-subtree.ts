/**
 * One processor for many streams: it plays ping-pong in every room, rooms that are opened later too. Each stream has a
 * state of its own; every third pong is told to the stream above.
 *
 *     npx millrace run examples/05-ping-pong-subtree.ts --path /examples/rooms --children
 *
 * and in another terminal: npx millrace append /examples/rooms/blue ping
 */
import { defineProcessor } from "@millrace/sdk/processor";

export default defineProcessor({
  slug: "ping-pong-rooms",
  initialState: { pings: 0 },
  reduce: ({ state, event }) => (event.type === "ping" ? { pings: state.pings + 1 } : state),
  async afterAppend({ event, state, append }) {
    if (event.type !== "ping") return;
    await append({ type: "pong", payload: { count: state.pings } });
    if (state.pings % 3 !== 0) return;
    const payload = { room: event.streamPath, count: state.pings };
    await append({ path: "..", event: { type: "three-more-played", payload } });
  },
});
