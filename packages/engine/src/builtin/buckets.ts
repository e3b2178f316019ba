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
  /** Of the entry that comes first, with its offset. */
  dueAt: number | null;
  offset: number;
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
    // Where many have the same time, their order tells which bucket is worth a look.
    if (first !== undefined && !isBefore(bucket.dueAt, bucket, first)) continue;
    for (const entry of bucket.entries) {
      const at = timeOf(entry);
      if (at !== null && isBefore(at, entry, first)) first = { at, entry };
    }
  }
  return first;
}

function isBefore(
  at: number,
  { offset }: { offset: number },
  first: { at: number; entry: Timed } | undefined,
): boolean {
  return first === undefined || at < first.at || (at === first.at && offset < first.entry.offset);
}

function replaced<Entry extends Timed>(
  all: Bucketed<Entry>,
  index: number,
  entries: readonly Entry[],
  added: number,
): Bucketed<Entry> {
  const buckets = all.buckets.length === 0 ? new Array<null>(bucketCount).fill(null) : [...all.buckets];
  const next: (Bucket<Entry> | null)[] = buckets;
  next[index] = entries.length === 0 ? null : { ...firstOf(entries), entries };
  return { count: all.count + added, dueAt: firstOf(next).dueAt, buckets: next };
}

function firstOf(timed: readonly ({ dueAt: number | null; offset: number } | null)[]) {
  let dueAt: number | null = null;
  let offset = 0;
  for (const one of timed) {
    if (one === null || one.dueAt === null) continue;
    if (dueAt !== null && (one.dueAt > dueAt || (one.dueAt === dueAt && one.offset >= offset))) continue;
    ({ dueAt, offset } = one);
  }
  return { dueAt, offset };
}

/** FNV-1a. */
function indexOf(slug: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < slug.length; i++) hash = Math.imul(hash ^ slug.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % bucketCount;
}
