/** Webhook responses under load: whoever posts is answered in time, and what comes too late for them is not evaluated. */
import { expect, test } from "vitest";
import { gate, pass } from "../test/processors.ts";
import { breakerOff } from "../test/pushing.ts";
import { builtin, createWorld, untilQuiet } from "../test/world.ts";
import type { Expressions } from "./ports/expressions.ts";

const rule = (slug: string) => ({
  type: builtin("webhook-response-configured"),
  payload: { slug, matcher: "true", response: "'ok'" },
});

/** Expressions that take until the test says so. */
function slowExpressions(): { expressions: Expressions; asked: number; open(): void } {
  const { opened, open } = gate();
  const slow = {
    asked: 0,
    open,
    expressions: {
      async evaluate() {
        slow.asked++;
        await opened;
        return { matched: false } as const;
      },
      close: async () => {},
    },
  };
  return slow;
}

test("of a thousand posts at once few wait for an expression, each for a second, and the others for none", async () => {
  const slow = slowExpressions();
  const world = createWorld({ ports: { expressions: slow.expressions } });
  await world.append("/s", [breakerOff, rule("one"), rule("two")]);
  const event = { type: "a", payload: {} };
  const answers: (Promise<string | undefined> | undefined)[] = [];
  for (let n = 0; n < 1_000; n++) {
    const [appended] = await world.engine.append("public", "/s", [{ event }], { bytes: 1 });
    if (appended !== undefined) answers.push(world.engine.answerTo("public", "/s", appended));
  }
  await untilQuiet();
  const waiting = answers.filter((answer) => answer !== undefined);
  expect(waiting.length).toBeGreaterThan(0);
  expect(waiting.length).toBeLessThan(100);
  expect(slow.asked).toBe(waiting.length);
  await pass(world, 1_500);
  expect(await Promise.all(waiting)).toEqual(waiting.map(() => undefined));
  // Nobody waits for the second rule any more.
  slow.open();
  await untilQuiet();
  expect(slow.asked).toBe(waiting.length);
  const [later] = await world.engine.append("public", "/s", [{ event }], { bytes: 1 });
  expect(later === undefined ? undefined : world.engine.answerTo("public", "/s", later)).toBeDefined();
});
