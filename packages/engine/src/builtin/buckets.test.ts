/** Entries by slug with a time: against a plain map, and what replacing one of many costs. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Bucketed, earliest, emptyBuckets, entryOf, type Timed, within, without } from "./buckets.ts";

type All = Bucketed<Timed>;

function filled(count: number, dueAt = (n: number) => n + 1): All {
  let all: All = emptyBuckets;
  for (let n = 0; n < count; n++) all = within(all, { slug: `schedule ${n}`, offset: n, dueAt: dueAt(n) });
  return all;
}

test("behaves as a map does, and knows the earliest", () => {
  const slug = fc.integer({ min: 0, max: 400 }).map(String);
  const change = fc.record({ slug, dueAt: fc.option(fc.nat(50)), remove: fc.boolean() });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 120 }), (changes) => {
      const model = new Map<string, Timed>();
      let all: All = emptyBuckets;
      changes.forEach(({ slug, dueAt, remove }, offset) => {
        if (remove) model.delete(slug);
        else model.set(slug, { slug, offset, dueAt });
        all = remove ? without(all, slug) : within(all, { slug, offset, dueAt });
      });
      const timed = [...model.values()].filter((entry): entry is Timed & { dueAt: number } => entry.dueAt !== null);
      timed.sort((a, b) => a.dueAt - b.dueAt || a.offset - b.offset);
      expect(all.count).toBe(model.size);
      expect(all.dueAt).toBe(timed[0]?.dueAt ?? null);
      expect(earliest(all, ({ dueAt }) => dueAt)?.entry).toEqual(timed[0]);
      for (const { slug } of changes) expect(entryOf(all, slug)).toEqual(model.get(slug));
      const later = earliest(all, ({ dueAt }) => (dueAt === null ? null : dueAt + 100));
      expect(later?.at, "by a time that is reckoned otherwise").toBe(
        timed[0] === undefined ? undefined : timed[0].dueAt + 100,
      );
    }),
  );
});

test("nothing that was there before is changed", () => {
  const before = filled(300);
  const copy = structuredClone(before);
  within(before, { slug: "schedule 7", offset: 1, dueAt: 1 });
  without(before, "schedule 8");
  expect(before).toEqual(copy);
  expect(without(before, "nobody"), "the very same").toBe(before);
});

test("replacing one of ten thousand copies a hundredth of them", () => {
  const before = filled(10_000);
  const after = within(before, { slug: "schedule 4711", offset: 1, dueAt: 1 });
  const changed = after.buckets.filter((bucket, i) => bucket !== before.buckets[i]);
  expect(changed).toHaveLength(1);
  const copied = after.buckets.length + (changed[0]?.entries.length ?? 0);
  expect(copied).toBeLessThan(300);
});

test.each([
  ["each has a time of its own", (n: number) => n + 1],
  ["all have the same time", () => 1],
])("finding the earliest of ten thousand looks at few of them: %s", (_, dueAt) => {
  const all = filled(10_000, dueAt);
  let looked = 0;
  const first = earliest(all, ({ dueAt }) => {
    looked++;
    return dueAt;
  });
  expect(first?.entry.slug).toBe("schedule 0");
  expect(looked).toBeLessThan(1_000);
});
