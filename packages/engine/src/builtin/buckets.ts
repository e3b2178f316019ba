/**
 * Entries by slug, each with a time: a list that is replaced and never changed, and of which replacing one entry of ten
 * thousand copies some hundred. Plain data, so that it can stand in a snapshot.
 */
export interface Timed {
  slug: string;
  /** Decides which of two with the same time comes first. */
  offset: number;
  /** Milliseconds; null for never. */
  dueAt: number | null;
}

export interface Bucketed<Entry extends Timed> {
  count: number;
  /** The earliest time of all. */
  dueAt: number | null;
  buckets: readonly (Bucket<Entry> | null)[];
}

interface Bucket<Entry> {
  dueAt: number | null;
  entries: readonly Entry[];
}

const bucketCount = 128;

// biome-ignore lint/suspicious/noExplicitAny: without entries it is one of every kind
export const emptyBuckets: Bucketed<any> = { count: 0, dueAt: null, buckets: [] };

/** The entry of a slug. */
export function entryOf<Entry extends Timed>({ buckets }: Bucketed<Entry>, slug: string): Entry | undefined {
  return buckets[indexOf(slug)]?.entries.find((entry) => entry.slug === slug);
}

/** With this entry, in the place of the one that had its slug. */
export function within<Entry extends Timed>(all: Bucketed<Entry>, entry: Entry): Bucketed<Entry> {
  const index = indexOf(entry.slug);
  const before = all.buckets[index]?.entries ?? [];
  const others = before.filter(({ slug }) => slug !== entry.slug);
  return replaced(all, index, [...others, entry], others.length === before.length ? 1 : 0);
}

export function without<Entry extends Timed>(all: Bucketed<Entry>, slug: string): Bucketed<Entry> {
  const index = indexOf(slug);
  const before = all.buckets[index]?.entries ?? [];
  const others = before.filter((entry) => entry.slug !== slug);
  return others.length === before.length ? all : replaced(all, index, others, -1);
}

/** The entry with the earliest time, by a time that the caller may reckon otherwise. */
export function earliest<Entry extends Timed>(
  { buckets }: Bucketed<Entry>,
  timeOf: (entry: Entry) => number | null,
): { at: number; entry: Entry } | undefined {
  let first: { at: number; entry: Entry } | undefined;
  for (const bucket of buckets) {
    // A reckoned time is never earlier than the one that stands there.
    if (bucket === null || bucket === undefined || bucket.dueAt === null) continue;
    if (first !== undefined && bucket.dueAt > first.at) continue;
    for (const entry of bucket.entries) {
      const at = timeOf(entry);
      if (at !== null && isBefore(at, entry, first)) first = { at, entry };
    }
  }
  return first;
}

function isBefore(at: number, { offset }: Timed, first: { at: number; entry: Timed } | undefined): boolean {
  return first === undefined || at < first.at || (at === first.at && offset < first.entry.offset);
}

function replaced<Entry extends Timed>(
  all: Bucketed<Entry>,
  index: number,
  entries: readonly Entry[],
  added: number,
): Bucketed<Entry> {
  const buckets = all.buckets.length === 0 ? new Array<null>(bucketCount).fill(null) : [...all.buckets];
  const bucket = entries.length === 0 ? null : { dueAt: earliestOf(entries), entries };
  const next: (Bucket<Entry> | null)[] = buckets;
  next[index] = bucket;
  return { count: all.count + added, dueAt: earliestOf(next), buckets: next };
}

function earliestOf(timed: readonly ({ dueAt: number | null } | null)[]): number | null {
  let earliest: number | null = null;
  for (const one of timed) {
    if (one !== null && one.dueAt !== null && (earliest === null || one.dueAt < earliest)) earliest = one.dueAt;
  }
  return earliest;
}

/** FNV-1a. */
function indexOf(slug: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < slug.length; i++) hash = Math.imul(hash ^ slug.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % bucketCount;
}
