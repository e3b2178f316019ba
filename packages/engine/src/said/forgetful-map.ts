/** A map of what can be made again, of a bounded size: who is as good as new is forgotten first, then who is oldest. */

export interface ForgetfulMap<Value> {
  /** What is there, or what `make` gives. */
  at(key: string, make: () => Value): Value;
  values(): Iterable<Value>;
}

/** @param forgotten hears of each that had to go though it was not as good as new */
export function createForgetfulMap<Value>(
  entriesMax: number,
  isAsNew: (value: Value) => boolean,
  forgotten: (value: Value) => void = () => {},
): ForgetfulMap<Value> {
  const entries = new Map<string, Value>();

  /** Makes room for many at once, so that looking at all of them comes to little for each. */
  function makeRoom(): void {
    for (const [key, value] of entries) if (isAsNew(value)) entries.delete(key);
    for (const [key, value] of entries) {
      if (entries.size < entriesMax * 0.9) return;
      entries.delete(key);
      forgotten(value);
    }
  }

  return {
    at(key, make) {
      const known = entries.get(key);
      if (known !== undefined) return known;
      if (entries.size >= entriesMax) makeRoom();
      const made = make();
      entries.set(key, made);
      return made;
    },
    values: () => entries.values(),
  };
}
