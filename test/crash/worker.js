/**
 * The processor that the crash harness deploys, as the text that stands in the event. What an event asks for is done to
 * the letter: slow, failing, with work that goes on behind it.
 */
const delay = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export default {
  slug: "worker",
  initialState: { pings: 0 },
  reduce: ({ state, event }) => (event.type === "ping" ? { pings: state.pings + 1 } : state),

  async afterAppend({ event, attempt, state, append, waitUntil }) {
    if (event.type !== "ping") return;
    const { offset, payload, streamPath } = event;
    const { failsOnce, slowMs, workMs } = payload;
    if (slowMs > 0) await delay(slowMs);
    if (failsOnce && attempt === 1) throw new Error("as it was asked to");
    await append({ type: "pong", payload: { ping: offset, pings: state.pings } });
    if (slowMs > 0) await delay(slowMs);
    await append({ path: payload.tell, event: { type: "told", payload: { of: streamPath, ping: offset } } });
    if (workMs === 0) return;
    waitUntil(`work ${offset}`, async (work) => {
      await delay(workMs);
      await work.append({ type: "work-completed", payload: { ping: offset } });
    });
  },

  async afterCatchUp({ append, interrupted }) {
    for (const { offset } of interrupted?.work ?? []) {
      await append({ type: "work-interrupted", payload: { ping: offset } });
    }
  },
};
