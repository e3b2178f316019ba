/** Chance that repeats itself: the same seed gives the same ids, jitter and choices, on every machine. */
import type { Random } from "@millrace/engine";

export interface SeededRandom extends Random {
  /** A whole number from 0 up to, not including, `below`. */
  integer(below: number): number;
  pick<Item>(items: readonly Item[]): Item;
}

const idCharacters = "abcdefghijklmnopqrstuvwxyz0123456789";

export function createSeededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;

  /** mulberry32: small, even, and good enough for tests. */
  function fraction(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  const integer = (below: number) => Math.floor(fraction() * below);

  return {
    fraction,
    integer,
    pick: (items) => items[integer(items.length)] as (typeof items)[number],
    id() {
      let id = "";
      for (let i = 0; i < 20; i++) id += idCharacters[integer(idCharacters.length)];
      return id;
    },
  };
}
