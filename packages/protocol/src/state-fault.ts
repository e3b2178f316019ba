/** What of a state would be another one after it was written as JSON and read again. */
const depthMax = 100;

/** Undefined for a state that JSON keeps as it is; otherwise where it does not, and why. */
export function jsonStateFault(value: unknown, where = "it", depth = 0): string | undefined {
  if (value === null || ["string", "boolean", "undefined"].includes(typeof value)) return undefined;
  if (typeof value === "number") return Number.isFinite(value) ? undefined : `${where} is ${value}`;
  if (typeof value !== "object") return `${where} is a ${typeof value}`;
  if (depth > depthMax) return `${where} is nested deeper than ${depthMax}`;
  const kind = (value as { constructor?: { name?: string } }).constructor?.name;
  if (!Array.isArray(value) && kind !== undefined && kind !== "Object") {
    return `${where} is a ${kind}`;
  }
  for (const [key, item] of Object.entries(value)) {
    const fault = jsonStateFault(item, `${where}.${key}`, depth + 1);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
