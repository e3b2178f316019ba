/** Code that is deployed in scenarios, and the events that bring it. */

const prefix = "https://events.iterate.com/events/stream/";
export const haltedType = `${prefix}dynamic-worker/halted`;
export const breakerOff = {
  type: `${prefix}circuit-breaker-configured`,
  payload: { burstCapacity: 0, refillRatePerMinute: 1 },
};

/** Answers a ping with a pong; each number is another code. It loops when it is told to. */
export function pingPong(number = 0) {
  return `// code ${number}
export default {
  slug: "bench",
  initialState: { events: 0, pings: 0 },
  reduce: ({ state, event }) => ({
    events: state.events + 1,
    pings: event.type === "ping" ? state.pings + 1 : state.pings,
  }),
  async afterAppend({ event, append }) {
    if (event.type === "ping") await append({ type: "pong", payload: event.payload });
    while (event.type === "loop");
  },
};`;
}

/** @param {string} script */
export function configured(script) {
  return { type: `${prefix}dynamic-worker/configured`, payload: { slug: "bench", script } };
}
