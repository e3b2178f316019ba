/** given/when/then: what it shows of a processor, and how it says that something else was expected. */
import { defineProcessor } from "@millrace/protocol";
import { given } from "@millrace/testing";
import { expect, test, vi } from "vitest";
import { asking, failing, messageOfFailure, pingPong } from "./processors-under-test.ts";

test("history is reduced, what is appended is acted on, and the outcome is a plain value", async () => {
  const { path, state, appended, errors } = await given(pingPong, [{ type: "ping" }, { type: "ping" }]).when({
    type: "ping",
  });
  expect({ path, state, errors }).toEqual({ path: "/test", state: { pings: 3 }, errors: [] });
  expect(appended).toMatchObject([
    { streamPath: "/test", offset: 6, type: "pong", source: { cause: { streamPath: "/test", offset: 5 } } },
  ]);
});

test("then compares the state whole, and of what was appended what is named", async () => {
  const outcome = await given(pingPong, [{ type: "ping" }])
    .when([{ type: "ping" }, { type: "ping" }])
    .then({
      state: { pings: 3 },
      appended: [{ type: "pong", payload: { pings: 2 } }, { type: "pong" }],
    });
  expect(outcome.appended).toHaveLength(2);
});

test("it is a promise like any other", async () => {
  const happening = given(pingPong).when({ type: "ping" });
  expect(await happening.then(({ state }) => state.pings + 1)).toBe(2);
  expect((await Promise.all([happening]))[0].state).toEqual({ pings: 1 });
  const broken = given(pingPong).when({ type: "" });
  expect(await broken.then(undefined, (error) => (error as Error).message)).toBe(
    'This is no event: type: expected 1 to 2048 characters, got 0\n  {"type":""}',
  );
});

test("what differs is told with its place, and with all that was expected and came", async () => {
  const message = await messageOfFailure(() =>
    given(pingPong)
      .when([{ type: "ping" }, { type: "ping" }])
      .then({
        state: { pings: 1 },
        appended: [
          { type: "pong", payload: { pings: 1 } },
          { type: "pong", payload: { pings: 3 }, path: "./boris" },
        ],
      }),
  );
  expect(message).toBe(`ping-pong did something else than expected.

state.pings: expected 1, got 2
  expected: {"pings":1}
  state:    {"pings":2}

appended[1].payload.pings: expected 3, got 2
  expected:
    0. pong {"pings":1}
    1. pong {"pings":3} /test/boris
  appended:
    0. pong {"pings":1,"to":"you"} /test
    1. pong {"pings":2,"to":"you"} /test
`);
});

test("too much and too little that was appended is told", async () => {
  const happening = () => given(pingPong).when({ type: "ping" });
  expect(await messageOfFailure(() => happening().then({ appended: [] }))).toBe(
    `ping-pong did something else than expected.

appended: expected 0, got 1
  expected: none
  appended:
    0. pong {"pings":1,"to":"you"} /test
`,
  );
  expect(await messageOfFailure(() => happening().then({ appended: [{ type: "pong" }, { type: "pong" }] }))).toContain(
    "appended: expected 2, got 1\n",
  );
});

test("a hook that throws is seen in errors, and fails a then that does not expect it", async () => {
  const happening = () => given(failing(1)).when({ type: "ping" });
  expect((await happening()).errors).toEqual([{ message: "no, not at attempt 1", offset: 3 }]);
  await happening().then({ appended: [], errors: ["no, not at attempt 1"] });
  await happening().then({ errors: [{ offset: 3 }] });
  expect(await messageOfFailure(() => happening().then({ appended: [] }))).toBe(
    `failing did something else than expected.

errors: expected 0, got 1
  expected: none
  errors:
    0. no, not at attempt 1 (at 3)
`,
  );
});

test("time that passes brings further attempts, and in the end the halt", async () => {
  await given(failing(2))
    .when({ type: "ping" }, { advanceMs: 10_000 })
    .then({ appended: [{ type: "pong", payload: { attempt: 3 } }], errors: ["no, not at attempt 1"] });
  await given(failing(9))
    .when({ type: "ping" }, { advanceMs: 60_000 })
    .then({ appended: [], errors: ["no, not at attempt 1", { message: "no, not at attempt 5", halted: true }] });
});

test("a reducer that throws halts the processor", async () => {
  const broken = defineProcessor<number>({
    slug: "broken",
    initialState: 0,
    reduce({ state, event }) {
      if (event.type === "bad") throw new Error("I cannot count this");
      return state + 1;
    },
  });
  await given(broken)
    .when([{ type: "good" }, { type: "bad" }, { type: "good" }])
    .then({ state: 3, errors: [{ message: "reduce failed: I cannot count this", offset: 4, halted: true }] });
});

test("without an event the processor starts, and its afterCatchUp decides", async () => {
  const never = asking(async () => "never asked");
  await given(never, [{ type: "question", payload: "why" }])
    .when()
    .then({ state: { open: null }, appended: [{ type: "answer", payload: { late: "why", interrupted: [] } }] });
  await given(never, [{ type: "question", payload: "why" }, { type: "never-mind" }])
    .when()
    .then({ appended: [] });
});

test("open work is waited for, and a later event can end it", async () => {
  const slow = asking(async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return "because";
  });
  await given(slow)
    .when({ type: "question", payload: "why" })
    .then({ state: { open: null }, appended: [{ type: "answer", payload: "because" }] });
  const untilAborted = asking(
    (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  );
  await given(untilAborted)
    .when([{ type: "question", payload: "why" }, { type: "never-mind" }])
    .then({ state: { open: null }, appended: [] });
});

test("what does not end within the limit is named", async () => {
  const happening = given(
    asking(() => new Promise(() => {})),
    [],
    { limitMs: 200 },
  ).when({ type: "question", payload: "why" });
  expect(await messageOfFailure(() => happening)).toBe('asking: after 200 ms this had not ended: the work "ask".');
  const stuck = defineProcessor<null>({
    slug: "stuck",
    initialState: null,
    reduce: () => null,
    afterAppend: ({ event }) => (event.type === "ping" ? new Promise<void>(() => {}) : undefined),
  });
  expect(await messageOfFailure(() => given(stuck, [], { limitMs: 200 }).when({ type: "ping" }))).toBe(
    "stuck: after 200 ms this had not ended: afterAppend for /test@3 (ping).",
  );
});

test("relative paths lead from the stream, and the tree is there", async () => {
  const parent = defineProcessor<{ children: string[] }>({
    slug: "parent",
    initialState: { children: [] },
    reduce({ state, event }) {
      if (!event.type.endsWith("/child-stream-created")) return state;
      const { childPath } = event.payload as { childPath: string };
      return { children: [...state.children, childPath] };
    },
    async afterAppend({ event, append }) {
      if (event.type !== "go") return;
      await append({ path: "./child", event: { type: "born" } });
      await append({ path: "../uncle", event: { type: "told" } });
    },
  });
  await given(parent, [], { path: "/family/parent" })
    .when({ type: "go" })
    .then({
      state: { children: ["/family/parent/child"] },
      appended: [
        { type: "born", path: "./child" },
        { type: "told", path: "/family/uncle" },
      ],
    });
});

test("a processor that answers itself is stopped by the circuit breaker, and that is an error", async () => {
  const looping = defineProcessor<null>({
    slug: "looping",
    initialState: null,
    reduce: () => null,
    async afterAppend({ event, append }) {
      if (event.type === "again") await append({ type: "again" });
    },
  });
  const { appended, errors } = await given(looping).when({ type: "again" });
  expect(appended.length).toBeLessThan(120);
  expect(errors.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^The stream was paused: circuit breaker: more than 100 events in a burst\./),
  ]);
});

test("a long history is no burst", async () => {
  const history = Array.from({ length: 2_500 }, () => ({ type: "ping" }));
  await given(pingPong, history)
    .when({ type: "ping" })
    .then({ state: { pings: 2_501 }, appended: [{ type: "pong" }] });
});

test("fake timers of a test runner do not hold it up", async () => {
  vi.useFakeTimers();
  try {
    await given(pingPong)
      .when({ type: "ping" }, { advanceMs: 1_000 })
      .then({ appended: [{ type: "pong" }] });
  } finally {
    vi.useRealTimers();
  }
});
