/** What goes wrong in a processor is an event, and holds up nobody else. */
import { defineProcessor } from "@millrace/protocol";
import type { Intercept } from "@millrace/testing";
import { expect, test } from "vitest";
import { acting, after, configured, errorsIn, gate, ofType, pass, worldOf } from "../../test/processors.ts";
import { builtin, untilQuiet, type World } from "../../test/world.ts";

const halts = builtin("dynamic-worker/halted");

test("a hook that never settles is ended after fifteen minutes, left behind five seconds later, and refused", async () => {
  const { opened, open } = gate();
  const seen: string[] = [];
  const hangs = acting("p", "ping", async ({ append, attempt, signal }) => {
    seen.push(`attempt ${attempt}`);
    if (attempt > 1) return;
    signal.addEventListener("abort", () => seen.push("aborted"));
    await opened;
    await append({ type: "late" }).catch((error) => seen.push(error.code));
  });
  const world = worldOf({ p: hangs });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  await pass(world, 899_000, 1_000);
  expect(seen).toEqual(["attempt 1"]);
  await pass(world, 1_000);
  expect(seen).toEqual(["attempt 1", "aborted"]);
  await pass(world, 4_500);
  expect(await errorsIn(world), "it has its grace").toEqual([]);
  await pass(world, 500);
  expect(await errorsIn(world)).toEqual(["The hook ran for more than 15 minutes."]);
  await pass(world, 2_000);
  open();
  await pass(world, 2_000);
  expect(seen).toEqual(["attempt 1", "aborted", "attempt 2", "unavailable"]);
  expect(await ofType(world, "late")).toEqual([]);
  expect((await world.engine.state("public", "/s")).consumers.p).toMatchObject({ lag: 0 });
});

test.each([
  ["no type", { hello: 1 }, "This is no event: type"],
  ["a string", "rubbish", "This is no event"],
  ["nothing", undefined, "This is no event"],
  ["what JSON cannot hold", { type: "t", payload: 1n }, "BigInt"],
  ["what only the server may write", { type: builtin("initialized"), payload: {} }, "only the server may write"],
  ["a path above the root", { event: { type: "t" }, path: "../../above" }, "leads above the root"],
  ["a path without a beginning", { event: { type: "t" }, path: "boris" }, "is no path"],
  ["a path that is a number", { event: { type: "t" }, path: 5 }, "is no path"],
  ["a path with a blank", { event: { type: "t" }, path: "/with blank" }, "with blank"],
  ["more than an event may have", { type: "t", payload: "x".repeat(1_100_000) }, "more than 1048576"],
])("appending %s is refused, and the error says why", async (_, input, message) => {
  const heard: unknown[] = [];
  const p = acting("p", "ping", async ({ append }) => {
    try {
      await append(input as never);
    } catch (error) {
      heard.push(error);
      throw error;
    }
  });
  const world = worldOf({ p });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  expect((await errorsIn(world))[0]).toContain(message);
  expect(heard).toHaveLength(1);
  expect(await world.events("/s"), "the error is all that there is of it").toHaveLength(4);
});

test("a reducer that throws halts its processor there, at once, and nobody else", async () => {
  const brittle = defineProcessor<number>({
    slug: "brittle",
    initialState: 0,
    reduce({ event }) {
      if (event.type === "poison") throw new Error("cannot");
      return 0;
    },
  });
  const later = defineProcessor<number>({
    slug: "later",
    initialState: 0,
    // Nobody else would hear that it rejects, which ends a process.
    reduce: (() => Promise.reject(new Error("too late"))) as never,
  });
  const other: string[] = [];
  const sound = acting("sound", "poison", ({ event }) => void other.push(event.type));
  const world = worldOf({ brittle, later, sound });
  await world.append("/s", [configured("brittle"), configured("later"), configured("sound")]);
  await world.append("/s", { type: "fine" });
  await world.append("/s", { type: "poison" });
  await untilQuiet();
  const told = (await ofType(world, halts)).map(({ payload }) => payload);
  expect(told).toHaveLength(2);
  expect(told).toContainEqual(
    expect.objectContaining({ slug: "brittle", offset: 6, message: "reduce failed: cannot", attempts: 1 }),
  );
  expect(told).toContainEqual(
    expect.objectContaining({
      slug: "later",
      offset: 1,
      message: "reduce failed: reduce returned a promise; it has to be synchronous.",
    }),
  );
  expect(other).toEqual(["poison"]);
  await pass(world, 10_000);
  expect(world.clock.nextTimerInMs()).toBeUndefined();
});

test("code that cannot be loaded halts its processor, and another configuration is another chance", async () => {
  const world = worldOf({ p: acting("p", "ping", ({ append }) => void append({ type: "pong" })) });
  await world.append("/s", configured("p", "nothing"));
  await untilQuiet();
  expect((await ofType(world, halts)).map(({ payload }) => payload)).toEqual([
    expect.objectContaining({ offset: 2, message: "The processor could not be loaded: there is no script nothing" }),
  ]);
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await pass(world, 3_000);
  expect(await ofType(world, "pong")).toHaveLength(1);
});

test("a log that cannot be read for a moment is no fault of the processor", async () => {
  let failing = 0;
  const intercept = async ({ operation }: { operation: string }, proceed: () => Promise<unknown>) => {
    if (failing > 0 && (operation === "read" || operation === "consumerSnapshot")) {
      failing--;
      throw new Error("the disk is away");
    }
    return proceed();
  };
  const pong = acting("p", "ping", async ({ append }) => void (await append({ type: "pong" })));
  const first = worldOf({ p: pong });
  await first.append("/s", configured("p"));
  await first.engine.close();
  for (const failures of [1, 2, 3]) {
    const world = worldOf({ p: pong }, { directory: first.directory, clock: first.clock, intercept });
    await world.events("/s");
    failing = failures;
    await world.append("/s", { type: "ping" });
    await pass(world, 10_000);
    expect(failing).toBe(0);
    expect(await ofType(world, halts)).toEqual([]);
    expect(await ofType(world, "pong")).toHaveLength(failures);
    await world.engine.close();
  }
});

/** Fails every n-th commit, before it happened or after that. */
function everyNth(n: number, happens: boolean, phase = 0): Intercept {
  let commits = phase;
  return async ({ operation }, proceed) => {
    const fails = operation === "append" && ++commits % n === 0;
    if (!fails) return proceed();
    if (happens) await proceed();
    throw new Error("the outcome is unknown");
  };
}

/** Sends it until it is known to be stored, as a client does that has a key. */
async function persist(world: World, event: object): Promise<void> {
  for (let tries = 0; tries < 10; tries++) {
    const done = await world.append("/s", event as never).then(
      () => true,
      () => false,
    );
    if (done) return;
  }
}

const answering = (attempts: number[] = []) =>
  acting("p", "ping", async ({ append, event, attempt }) => {
    attempts.push(attempt);
    await append({ type: "pong", payload: { of: event.offset } });
    await append({ event: { type: "told", payload: { of: event.offset } }, path: "/other" });
  });

async function persistPings(world: World): Promise<void> {
  await persist(world, { ...configured("p"), idempotencyKey: "configured" });
  for (let n = 0; n < 10; n++) await persist(world, { type: "ping", idempotencyKey: `ping ${n}` });
}

async function expectAllDoneOnce(world: World): Promise<void> {
  const pings = (await ofType(world, "ping")).map(({ offset }) => ({ of: offset }));
  expect(pings).toHaveLength(10);
  expect((await ofType(world, "pong")).map(({ payload }) => payload)).toEqual(pings);
  expect((await ofType(world, "told", "/other")).map(({ payload }) => payload)).toEqual(pings);
  expect(await ofType(world, halts)).toEqual([]);
  expect(await errorsIn(world)).toEqual([]);
  expect((await world.engine.state("public", "/s")).consumers.p).toMatchObject({ lag: 0 });
  expect((await world.directory.log("public", "/s").load()).wakeAt).toBeNull();
}

test.each([
  ["third", "before it happened", 3, false],
  ["third", "after it happened", 3, true],
  ["second", "after it happened", 2, true],
])(
  "a log whose every %s commit fails %s: everything is done once all the same, and nobody is halted",
  async (...row) => {
    const [, , n, happens] = row;
    for (let phase = 0; phase < n; phase++) {
      const world = worldOf({ p: answering() }, { intercept: everyNth(n, happens, phase) });
      await persistPings(world);
      await pass(world, 180_000);
      await expectAllDoneOnce(world);
      await world.engine.close();
    }
  },
);

/**
 * Two commits are as few as an attempt can take: what its hook appends, and, as that failed, the attempt itself before
 * the next one begins. So with every second commit it is the append that fails each time.
 */
test("a log whose every second commit fails before it happened: nothing is lost, and no attempt costs more than two commits", async () => {
  const everySecond = everyNth(2, false);
  let failing = true;
  let commits = 0;
  const intercept: Intercept = (call, proceed) => {
    // What the tree announces has commits and attempts of its own.
    if (call.path === "/") return proceed();
    if (call.operation === "append") commits++;
    return failing ? everySecond(call, proceed) : proceed();
  };
  const attempts: number[] = [];
  const world = worldOf({ p: answering(attempts) }, { intercept });
  await persistPings(world);
  await pass(world, 20_000);
  const before = { commits, attempts: attempts.length };
  await pass(world, 160_000);
  expect(attempts.length - before.attempts).toBeGreaterThan(1);
  expect(commits - before.commits).toBe(2 * (attempts.length - before.attempts));
  failing = false;
  await pass(world, 600_000);
  await expectAllDoneOnce(world);
});

/** The first commit that tells an error fails, before it happened or after that. */
function firstErrorLost(happens: boolean): Intercept {
  let lost = false;
  return async (call, proceed) => {
    const isError = call.operation === "append" && JSON.stringify(call.arguments[0]).includes("error-occurred");
    if (!isError || lost) return proceed();
    lost = true;
    if (happens) await proceed();
    throw new Error("the outcome is unknown");
  };
}

test.each([false, true])(
  "an attempt is on disk before the next one, also when the log failed as its error was to be told: %s",
  async (happens) => {
    const seen: [attempt: number, begun: number][] = [];
    const p = acting("p", "ping", async ({ attempt }) => {
      const { progress } = await world.directory.log("public", "/s").load();
      seen.push([attempt, (JSON.parse(progress[0]?.text as string) as { begun: number }).begun]);
      if (attempt < 3) throw new Error(`failure ${attempt}`);
    });
    const world = worldOf({ p }, { intercept: firstErrorLost(happens) });
    await world.append("/s", configured("p"));
    await world.append("/s", { type: "ping" });
    await pass(world, 20_000);
    expect(world.failures.length).toBeGreaterThan(0);
    expect(seen).toEqual([
      [1, 0],
      [2, 1],
      [3, 2],
    ]);
    expect(await errorsIn(world)).toEqual(["failure 1"]);
  },
);

test.each([false, true])(
  "a hook that diverged is not called again because the log failed as that was to be told: %s",
  async (happens) => {
    let calls = 0;
    const p = acting("p", "ping", async ({ append, attempt }) => {
      calls++;
      await append({ event: { type: "t" }, path: attempt === 1 ? "/one" : "/two" });
      // Waiting for a paused stream costs no attempt and is no error.
      await append({ event: { type: "t" }, path: "/paused" });
    });
    const world = worldOf({ p }, { intercept: firstErrorLost(happens) });
    await world.append("/paused", { type: builtin("paused") });
    await world.append("/s", configured("p"));
    await world.append("/s", { type: "ping" });
    await pass(world, 20_000);
    expect(calls).toBe(2);
    expect(await errorsIn(world)).toHaveLength(1);
    expect((await world.engine.state("public", "/s")).consumers.p).toMatchObject({ lag: 0 });
  },
);

test("an event that comes while its consumer waits is one commit, and waits with it: over a crash, and unheard of", async () => {
  for (const end of ["goes on", "answer lost", "crash"]) {
    const acted: number[] = [];
    let claims: (number | null | undefined)[] = [];
    let losing = false;
    const intercept: Intercept = async ({ operation, arguments: [commit] }, proceed) => {
      const answer = await proceed();
      if (operation !== "append") return answer;
      claims.push((commit as { wakeAt?: number | null }).wakeAt);
      if (losing) {
        losing = false;
        throw new Error("the answer was lost");
      }
      return answer;
    };
    const processor = (told: number[]) =>
      acting("p", "ping", ({ event, attempt }) => {
        if (event.offset === 3 && attempt < 4) throw new Error("not yet");
        told.push(event.offset);
      });
    const first = worldOf({ p: processor(end === "crash" ? [] : acted) }, { intercept });
    await first.append("/s", configured("p"));
    await first.append("/s", { type: "ping" });
    // The fourth attempt comes seven seconds later, at least.
    await pass(first, 4_500);
    claims = [];
    losing = end === "answer lost";
    await first.append("/s", { type: "ping" }).catch(() => {});
    await pass(first, 2_000);
    expect(claims, end).toEqual([undefined]);
    const { wakeAt, lastEventAt } = await first.directory.log("public", "/s").load();
    expect(wakeAt, end).toBeGreaterThan(lastEventAt);
    const world = end === "crash" ? after(first, { p: processor(acted) }) : first;
    await pass(world, 20_000);
    expect(acted, end).toEqual([3, 5]);
    expect((await first.directory.log("public", "/s").load()).wakeAt, end).toBeNull();
  }
});

test("an error is folded by everyone, acted on by others, and never by the one that it names", async () => {
  const acted: string[] = [];
  const counting = (slug: string, fails: boolean) =>
    defineProcessor<number>({
      slug,
      initialState: 0,
      reduce: ({ state, event }) => (event.type === builtin("error-occurred") ? state + 1 : state),
      afterAppend({ event, state }) {
        if (event.type === builtin("error-occurred")) acted.push(`${slug} ${state}`);
        if (event.type === "look") acted.push(`${slug} saw ${state}`);
        if (fails && event.type === "ping") throw new Error("no");
      },
    });
  const world = worldOf({ a: counting("a", true), b: counting("b", false) });
  await world.append("/s", [configured("a"), configured("b")]);
  await world.append("/s", { type: "ping" });
  await pass(world, 500);
  expect(acted).toEqual(["b 1"]);
  await world.append("/s", builtinResumed("a"));
  await world.append("/s", { type: "look" });
  await pass(world, 60_000);
  expect(acted).toContain("b saw 1");
});

function builtinResumed(slug: string) {
  return { type: builtin("dynamic-worker/resumed"), payload: { slug, from: "head" } };
}

test("a hook that appends another type than in its earlier call has diverged: done, told, and decided on", async () => {
  const seen: string[] = [];
  const fickle = defineProcessor<number>({
    slug: "p",
    initialState: 0,
    reduce: () => 0,
    async afterAppend({ event, append, attempt }) {
      if (event.type !== "ping") return;
      seen.push(`attempt ${attempt}`);
      await append({ type: attempt === 1 ? "heads" : "tails" });
      throw new Error("and fails");
    },
    afterCatchUp({ interrupted }) {
      seen.push(`decides ${JSON.stringify(interrupted)}`);
    },
  });
  const world = worldOf({ p: fickle });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await pass(world, 60_000);
  expect(seen).toEqual(["decides undefined", "attempt 1", "attempt 2", 'decides {"offset":3,"work":[]}']);
  expect(await ofType(world, "tails")).toEqual([]);
  expect(await ofType(world, "heads")).toHaveLength(1);
  expect(await errorsIn(world)).toEqual(["and fails"]);
  expect(await ofType(world, halts)).toEqual([]);
});

test("another path is divergence as well, and the error says so where none was told of that place before", async () => {
  const p = acting("p", "ping", async ({ append, attempt }) => {
    await append({ event: { type: "t" }, path: attempt === 1 ? "/one" : "/two" });
    if (attempt === 1) await append({ event: { type: "t" }, path: "/paused" });
  });
  const world = worldOf({ p });
  await world.append("/paused", { type: builtin("paused") });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await pass(world, 5_000);
  expect((await errorsIn(world))[0]).toMatch(/^Append 1 was t to \/one in an earlier call .* and now is t to \/two/);
  expect(await world.events("/two")).toEqual([]);
});

test.each([
  ["rate", { burstCapacity: 20, refillRatePerMinute: 1 }],
  ["depth", { burstCapacity: 0, refillRatePerMinute: 1, maxDepth: 30 }],
])("two processors that answer each other are stopped by %s, and the pause shows the chain", async (kind, breaker) => {
  const ping = acting("ping", "pong", async ({ append }) => void (await append({ type: "ping" })));
  const pong = acting("pong", "ping", async ({ append }) => void (await append({ type: "pong" })));
  const world = worldOf({ ping, pong });
  await world.append("/s", { type: builtin("circuit-breaker-configured"), payload: breaker });
  await world.append("/s", [configured("ping"), configured("pong")]);
  await world.append("/s", { type: "ping" });
  await pass(world, 10_000);
  const [paused, ...more] = await ofType(world, builtin("paused"));
  expect(more).toEqual([]);
  const offset = paused?.offset as number;
  const chain = Array.from({ length: 20 }, (_, back) => ({ streamPath: "/s", offset: offset - 1 - back }));
  expect(paused?.payload).toMatchObject({ cause: { kind, chain } });
  expect((await world.events("/s")).length).toBeLessThan(50);
  expect(world.clock.nextTimerInMs()).toBeUndefined();
});
