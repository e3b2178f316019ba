/** Consumers on every stream that ask for types of events which nobody appends. */

/** @param {number} count @returns {import("@millrace/engine").ConsumerKind} */
export function idleKind(count) {
  const specs = Array.from({ length: count }, (_, n) => ({
    slug: `idle-${n}`,
    epoch: 1,
    configuredAt: 1,
    startAfter: 0,
    resumedAt: 0,
    types: new Set([`wanted-by-${n}`]),
  }));
  return {
    kind: "idle",
    sourceKind: "processor",
    failuresMax: 5,
    haltedType: "idle-halted",
    specs: () => specs,
    load: async ({ slug }) => ({ slug, initialState: null, reduce: ({ state }) => state, afterAppend() {} }),
    halted: ({ slug }) => ({ payload: { slug } }),
  };
}

/** That a consumer began is on disk after a second; until then it is not idle. */
export function untilAtRest() {
  return new Promise((resolve) => setTimeout(resolve, 2_000));
}
