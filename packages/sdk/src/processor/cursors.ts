/** Where a processor's progress on each stream is kept between two runs of its process. */

export interface StoredCursor {
  /** The life of the stream. Of another life nothing counts. */
  streamId: string;
  /** Cursor, attempts and open work, as the driver writes them. */
  progress: string;
  /** A state that was folded up to an offset, so that history need not be read again. */
  snapshot?: { offset: number; state: string };
  /** How often it was halted here. */
  halts?: number;
}

export interface Cursors {
  /** By path; and by `followed:<pattern>`, which says that the pattern was followed before. */
  load(path: string, signal?: AbortSignal): Promise<StoredCursor | undefined>;
  /** Every path that has one: who was there before may have missed something. */
  paths(): Promise<readonly string[]>;
  /** Resolves when it is as durable as it will ever be. Of one path never called again before that. */
  save(path: string, cursor: StoredCursor): Promise<void>;
  forget(path: string): Promise<void>;
  /** Whom to tell, at once, that the cursor of a path is another's now, or was deleted: nothing may be acted on there. */
  onLost?(listener: (path: string, error: unknown) => void): void;
  /** The run is over: what was taken for it is given back. It may be used again. */
  close?(): Promise<void>;
}

/** For as long as the process lives: the next one begins like the first, at the end of each stream. */
export function memoryCursors(): Cursors {
  const cursors = new Map<string, StoredCursor>();
  return {
    load: async (path) => cursors.get(path),
    paths: async () => [...cursors.keys()],
    save: async (path, cursor) => void cursors.set(path, cursor),
    forget: async (path) => void cursors.delete(path),
  };
}
