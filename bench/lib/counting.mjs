/** A processor that folds every event of the benchmarks into a small state. */
export default {
  slug: "counting",
  initialState: { messages: 0, characters: 0 },
  reduce: ({ state, event }) =>
    event.type === "message-added"
      ? { messages: state.messages + 1, characters: state.characters + event.payload.content.length }
      : state,
};
