import { expect, test } from "vitest";
import { createTurns } from "./turns.ts";

test("some at a time, and the next is the one with the lowest rank at that moment", async () => {
  const turns = createTurns(1);
  const began: string[] = [];
  const ranks: Record<string, number> = { a: 1, b: 9, c: 5, d: 7 };
  const take = async (name: string) => {
    const leave = await turns.take(() => ranks[name] as number);
    began.push(name);
    return leave;
  };
  const [a, b, c, d] = ["a", "b", "c", "d"].map(take);
  ranks.d = 2;

  (await a)?.();
  (await d)?.();
  (await d)?.();
  const leaveLast = await c;
  expect(began).toEqual(["a", "d", "c"]);
  leaveLast?.();
  await b;
  expect(began).toEqual(["a", "d", "c", "b"]);
});

test("whoever does not want to wait has its turn now, or none", () => {
  const turns = createTurns(1);
  const leave = turns.takeNow();
  expect(turns.takeNow()).toBeUndefined();
  leave?.();
  expect(turns.takeNow()).toBeDefined();
});
