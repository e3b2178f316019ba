/**
 * When the holders of cursors were last heard. In memory alone, because a sign of life must not cost a write: after a
 * start everybody counts as heard at that moment. By the clock that never runs backwards, so that setting the time
 * takes no cursor away.
 */
import type { Clock } from "./ports/clock.ts";

export interface Holder {
  /** The life of the stream. */
  streamId: string;
  slug: string;
  runtimeId: string;
}

export interface Holders {
  heard(holder: Holder): void;
  /** At least so long; exactly, for those who were heard lately. */
  silentMs(holder: Holder): number;
}

/** Beyond so many, whoever is silent for long enough to be replaced is forgotten. */
const rememberedMax = 10_000;

export function createHolders(clock: Clock, silenceMs: number): Holders {
  const startedAt = clock.elapsedMs();
  /** In the order in which they were heard. */
  const heardAt = new Map<string, number>();

  function forgetSilent(now: number): void {
    for (const [id, at] of heardAt) {
      if (heardAt.size <= rememberedMax || now - at < silenceMs) return;
      heardAt.delete(id);
    }
  }

  return {
    heard(holder) {
      const now = clock.elapsedMs();
      const id = idOf(holder);
      heardAt.delete(id);
      heardAt.set(id, now);
      forgetSilent(now);
    },
    silentMs: (holder) => Math.floor(clock.elapsedMs() - (heardAt.get(idOf(holder)) ?? startedAt)),
  };
}

function idOf({ streamId, slug, runtimeId }: Holder): string {
  return `${streamId} ${runtimeId} ${slug}`;
}
