import { describe, expect, test } from "vitest";
import { createTurnCells, createTurns, createTurnView, isRunning } from "./turns.ts";

/** Where counting begins in these tests: at nothing, and right before it wraps around. */
describe.each([0, 2 ** 31 - 4, -2])("turns from %i on", (start) => {
  function create() {
    const cells = createTurnCells();
    cells[0] = start;
    return { turns: createTurns(cells), view: createTurnView(cells) };
  }

  test("name the item that runs, batch after batch", () => {
    const { turns, view } = create();
    for (let batch = 0; batch < 3; batch++) {
      expect(isRunning(view.turn())).toBe(false);
      turns.begin();
      for (let index = 0; index < 4; index++) {
        if (index > 0) turns.next();
        expect(isRunning(view.turn())).toBe(true);
        expect(view.indexIn(view.turn())).toBe(index);
      }
      turns.end();
    }
    expect(isRunning(view.turn())).toBe(false);
  });

  test("nobody is named for a turn that is over", () => {
    const { turns, view } = create();
    turns.begin();
    const first = view.turn();
    turns.next();
    expect(view.indexIn(first)).toBeUndefined();
    turns.end();
    turns.begin();
    expect(view.indexIn(first)).toBeUndefined();
  });
});
