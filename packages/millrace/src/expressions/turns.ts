/**
 * What the thread that evaluates tells its watchdog, in memory that both share, because it may never come back to its
 * event loop. One cell counts turns: odd while an item runs, even while none does. The item's place in its batch follows
 * from the turn at which the batch began, so there is no second cell that could be out of step with the first.
 */
export interface Turns {
  begin(): void;
  next(): void;
  end(): void;
}

const turnCell = 0;
const firstCell = 1;
/** Never written: whoever waits for it sleeps. */
const sleepCell = 2;
const cellCount = 3;

export function createTurnCells(): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(cellCount * Int32Array.BYTES_PER_ELEMENT));
}

/** The side that evaluates. Counting wraps around, and stays odd or even as it does. */
export function createTurns(cells: Int32Array<SharedArrayBuffer>): Turns {
  return {
    begin() {
      Atomics.store(cells, firstCell, (Atomics.load(cells, turnCell) + 1) | 0);
      Atomics.add(cells, turnCell, 1);
      Atomics.notify(cells, turnCell);
    },
    next() {
      Atomics.add(cells, turnCell, 2);
    },
    end() {
      Atomics.add(cells, turnCell, 1);
    },
  };
}

/** The side that watches. */
export function createTurnView(cells: Int32Array<SharedArrayBuffer>): {
  turn(): number;
  /** The place in the batch of the item that runs in this turn; undefined when the turn is over. */
  indexIn(turn: number): number | undefined;
  /** Returns at once if this is not the turn any more. */
  waitWhile(turn: number): void;
  sleep(milliseconds: number): void;
} {
  return {
    turn: () => Atomics.load(cells, turnCell),
    indexIn(turn) {
      const index = ((turn - Atomics.load(cells, firstCell)) | 0) / 2;
      // The first turn of a batch is only written after the last batch has ended, which this would show.
      return Atomics.load(cells, turnCell) === turn ? index : undefined;
    },
    waitWhile: (turn) => void Atomics.wait(cells, turnCell, turn),
    sleep: (milliseconds) => void Atomics.wait(cells, sleepCell, 0, milliseconds),
  };
}

export function isRunning(turn: number): boolean {
  return (turn & 1) === 1;
}
