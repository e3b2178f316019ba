/** A binary heap: the smallest entry first. */
export interface Heap<Entry> {
  readonly size: number;
  peek(): Entry | undefined;
  push(entry: Entry): void;
  pop(): Entry | undefined;
}

export function createHeap<Entry>(compare: (a: Entry, b: Entry) => number): Heap<Entry> {
  const entries: Entry[] = [];
  const at = (index: number) => entries[index] as Entry;

  function swap(a: number, b: number): void {
    const entry = at(a);
    entries[a] = at(b);
    entries[b] = entry;
  }

  function rise(index: number): void {
    for (let i = index; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (compare(at(i), at(parent)) >= 0) return;
      swap(i, parent);
      i = parent;
    }
  }

  function sink(): void {
    for (let i = 0; ; ) {
      const left = 2 * i + 1;
      const right = left + 1;
      let least = i;
      if (left < entries.length && compare(at(left), at(least)) < 0) least = left;
      if (right < entries.length && compare(at(right), at(least)) < 0) least = right;
      if (least === i) return;
      swap(i, least);
      i = least;
    }
  }

  return {
    get size() {
      return entries.length;
    },
    peek: () => entries[0],
    push(entry) {
      entries.push(entry);
      rise(entries.length - 1);
    },
    pop() {
      const first = entries[0];
      const last = entries.pop();
      if (entries.length > 0 && last !== undefined) {
        entries[0] = last;
        sink();
      }
      return first;
    },
  };
}
