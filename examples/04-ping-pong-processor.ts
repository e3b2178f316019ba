/**
 * Answer each ping with a pong, as a processor: a reducer that counts, and a hook that answers.
 *
 *     npx millrace run examples/04-ping-pong-processor.ts --path /examples/pings
 *
 * and in another terminal: npx millrace append /examples/pings ping --payload '{"n":1}'
 *
 * Stop it, send some pings, and start it again: it knows its count, and decides once about what it missed. With
 * --cursor ping-pong.cursor.json it also knows what it was in the middle of. What it makes of the stream, without doing
 * anything: npx millrace replay examples/04-ping-pong-processor.ts --path /examples/pings
 */
import { defineProcessor } from "@millrace/sdk/processor";

interface State {
  pings: number;
  /** The latest ping that was not answered. */
  open?: number;
}

export default defineProcessor<State>({
  slug: "ping-pong",
  initialState: { pings: 0 },

  // Pure: the same events make the same state, today and in a year.
  reduce({ state, event }) {
    if (event.type === "ping") return { pings: state.pings + 1, open: (event.payload as { n: number }).n };
    if (event.type === "pong") return { pings: state.pings };
    return undefined;
  },

  // Called for each event that comes while it runs, in order. Called again for the same one, its append stands once.
  async afterAppend({ event, state, append }) {
    if (event.type !== "ping") return;
    await append({ type: "pong", payload: { n: state.open ?? 0, count: state.pings } });
  },

  // Called once after it was away: one pong for all that it missed.
  async afterCatchUp({ state, append }) {
    if (state.open === undefined) return;
    await append({ type: "pong", payload: { n: state.open, count: state.pings, late: true } });
  },
});
