/**
 * Values of plain data side by side: where they first differ, what of them JSON cannot keep, and how they are shown.
 * Places are written as code would reach them: `.items[2]["a b"]`, and nothing for the value itself.
 */

export interface Difference {
  at: string;
  /** Absent when there is nothing at that place. */
  left?: unknown;
  right?: unknown;
}

/**
 * The first place where two JSON values differ, or undefined.
 * @param partly what `left` has and `right` does not name is no difference, but for the items of arrays
 */
export function firstDifference(left: unknown, right: unknown, partly = false, at = ""): Difference | undefined {
  if (Object.is(left, right) || (left === 0 && right === 0)) return undefined;
  if (Array.isArray(left) && Array.isArray(right)) return differenceOfLists(left, right, partly, at);
  if (!isContainer(left) || !isContainer(right) || Array.isArray(left) || Array.isArray(right)) {
    return { at, ...(left !== undefined && { left }), ...(right !== undefined && { right }) };
  }
  const keys = partly ? Object.keys(right) : new Set([...Object.keys(left), ...Object.keys(right)]);
  for (const key of keys) {
    const found = firstDifference(ownOf(left, key), ownOf(right, key), partly, at + step(key));
    if (found !== undefined) return found;
  }
  return undefined;
}

function differenceOfLists(
  left: readonly unknown[],
  right: readonly unknown[],
  partly: boolean,
  at: string,
): Difference | undefined {
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const found = firstDifference(left[i], right[i], partly, `${at}[${i}]`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function ownOf(value: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

export interface NotJson {
  at: string;
  what: string;
}

/** The first place that would not come back from JSON as it is, or undefined. */
export function notJson(value: unknown, at = "", within: readonly object[] = []): NotJson | undefined {
  if (value === null || typeof value === "string" || typeof value === "boolean") return undefined;
  if (typeof value === "number") return Number.isFinite(value) ? undefined : { at, what: String(value) };
  if (typeof value !== "object") return { at, what: value === undefined ? "undefined" : `a ${typeof value}` };
  if (within.includes(value)) return { at, what: "a circle, an object that holds itself" };
  const around = [...within, value];
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const found = notJson(value[i], `${at}[${i}]`, around);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return { at, what: `a ${value.constructor?.name}` };
  if (Object.getOwnPropertySymbols(value).length > 0) return { at, what: "a key that is a symbol" };
  for (const [key, item] of Object.entries(value)) {
    const found = notJson(item, at + step(key), around);
    if (found !== undefined) return found;
  }
  return undefined;
}

function step(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

const shownMax = 300;

/** On one line, and not too long for one. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = textOf(value);
  return text.length > shownMax ? `${text.slice(0, shownMax)}... (${text.length} characters)` : text;
}

function textOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value); // a circle
  }
}

/** A copy that shares nothing with the original. Of JSON only. */
export function copyOf<Value>(value: Value): Value {
  return value === undefined ? value : (JSON.parse(JSON.stringify(value)) as Value);
}

export function deepFrozen<Value>(value: Value): Value {
  if (typeof value === "object" && value !== null) {
    for (const item of Object.values(value)) deepFrozen(item);
    Object.freeze(value);
  }
  return value;
}
