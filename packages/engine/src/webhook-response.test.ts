/** Which events of a stream its webhook responses answer, and how little of the server a bad one can take. */
import { createInProcessExpressions } from "@millrace/testing";
import { expect, test } from "vitest";
import { builtin, createWorld, type Input, untilQuiet } from "../test/world.ts";
import type { Evaluated, Expressions } from "./ports/expressions.ts";

const path = "/hooks";
const answersAll = {
  type: builtin("webhook-response-configured"),
  payload: { slug: "all", matcher: "true", response: "'as asked'" },
};
const patienceMs = 2_000;

function responding(expressions: Expressions) {
  const world = createWorld({ ports: { expressions } });
  return {
    ...world,
    /** What the sender of this one event is answered with; undefined is the usual answer. */
    async answerTo(event: Input): Promise<string | undefined> {
      const [appended] = await world.engine.append("public", path, [{ event }], { bytes: 100 });
      return world.engine.answerTo("public", path, appended as NonNullable<typeof appended>);
    },
  };
}

/** Every expression waits until it is let go. */
function waitingExpressions() {
  const waiting: (() => void)[] = [];
  let asked = 0;
  const expressions: Expressions = {
    evaluate() {
      asked++;
      return new Promise<Evaluated>((resolve) => waiting.push(() => resolve({ matched: true, result: '"late"' })));
    },
    close: async () => {},
  };
  return { expressions, asked: () => asked, letGo: () => waiting.shift()?.() };
}

test("a stream has one evaluation at a time, and whoever waited for two seconds has none", async () => {
  const { expressions, asked, letGo } = waitingExpressions();
  const { append, answerTo, clock } = responding(expressions);
  await append(path, answersAll);
  const answers = Promise.all(Array.from({ length: 50 }, () => answerTo({ type: "hook" })));
  await untilQuiet();
  expect(asked()).toBe(1);
  clock.advance(patienceMs);
  expect(await answers).toEqual(Array.from({ length: 50 }, () => undefined));
  letGo();
  await untilQuiet();
  expect(asked()).toBe(1);
  const next = answerTo({ type: "hook" });
  await untilQuiet();
  expect(asked()).toBe(2);
  letGo();
  expect(await next).toBe('"late"');
});

test("one stream does not wait for another", async () => {
  const { expressions, asked } = waitingExpressions();
  const { engine, append } = responding(expressions);
  for (const other of ["/a", "/b", "/c"]) {
    await append(other, answersAll);
    const [appended] = await engine.append("public", other, [{ event: { type: "hook", payload: {} } }], { bytes: 1 });
    void engine.answerTo("public", other, appended as NonNullable<typeof appended>);
  }
  await untilQuiet();
  expect(asked()).toBe(3);
});

test("rules answer what others send, not what configures the stream", async () => {
  const { append, answerTo } = responding(createInProcessExpressions());
  await append(path, answersAll);
  expect(await answerTo({ type: "hook" })).toBe('"as asked"');
  const subscription = { slug: "s", type: "webhook", callbackUrl: "https://example.com/" };
  const own: Input[] = [
    { type: builtin("subscription/configured"), payload: subscription },
    { type: builtin("metadata-updated"), payload: { metadata: {} } },
    answersAll,
  ];
  for (const event of own) expect(await answerTo(event), event.type).toBeUndefined();
  expect(await answerTo({ type: "hook" })).toBe('"as asked"');
});

test("a configuration is evaluated over itself: what evaluates is there for the first event", async () => {
  const { expressions, asked } = waitingExpressions();
  const { answerTo } = responding(expressions);
  expect(await answerTo(answersAll)).toBeUndefined();
  await untilQuiet();
  expect(asked()).toBe(1);
});
