/**
 * The newest lines of each project, in memory alone. Readers have no buffer of their own: each has a place in the ring
 * of its project, and who is slower than the ring loses what fell out of it meanwhile.
 */
import type { Said } from "./said.ts";

/** Of one project. */
export const linesMax = 1_000;
export const charactersMax: number = 1024 * 1024;
/** With more projects that say something, the one that was silent for the longest is forgotten. */
export const ringsMax = 100;

/** Lines are numbered from 0 in each life of a ring, whose id nobody else has. */
export interface Ring {
  readonly id: string;
  readonly lines: readonly Said[];
  /** The number of the first that is still here. */
  readonly first: number;
}

export interface Rings {
  of(project: string): Ring | undefined;
  add(said: Said): void;
}

interface GrowingRing extends Ring {
  lines: Said[];
  first: number;
  sizes: number[];
  characters: number;
}

export function createRings(nextId: () => string): Rings {
  const rings = new Map<string, GrowingRing>();

  function ringOf(project: string): GrowingRing {
    const ring = rings.get(project) ?? { id: nextId(), lines: [], first: 0, sizes: [], characters: 0 };
    rings.delete(project);
    rings.set(project, ring);
    for (const oldest of rings.keys()) if (rings.size > ringsMax) rings.delete(oldest);
    return ring;
  }

  return {
    of: (project) => rings.get(project),
    add(said) {
      const ring = ringOf(said.project);
      const size = sizeOf(said);
      ring.lines.push(said);
      ring.sizes.push(size);
      ring.characters += size;
      while (ring.lines.length > linesMax || ring.characters > charactersMax) {
        ring.lines.shift();
        ring.characters -= ring.sizes.shift() as number;
        ring.first++;
      }
    },
  };
}

function sizeOf({ message, details, path, slug }: Said): number {
  const ofDetails = details === undefined ? 0 : JSON.stringify(details).length;
  return message.length + ofDetails + path.length + slug.length;
}
