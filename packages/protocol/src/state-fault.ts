/** What of a state would be another one after it was written as JSON and read again. */
const depthMax = 100;

/** Undefined for a state that JSON keeps as it is; otherwise where it does not, and why. */
export function jsonStateFault(value: unknown, where = "it"): string | undefined {
  const fault = faultIn(value, 0);
  return fault === undefined ? undefined : `${where}${fault}`;
}

/** The path is written on the way back: states are looked at often, and most of them are as they should be. */
function faultIn(value: unknown, depth: number): string | undefined {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "undefined":
      return undefined;
    case "number":
      return Number.isFinite(value) ? undefined : ` is ${value}`;
    case "object":
      return value === null ? undefined : faultInObject(value, depth);
    default:
      return ` is a ${typeof value}`;
  }
}

function faultInObject(value: object, depth: number): string | undefined {
  if (depth > depthMax) return ` is nested deeper than ${depthMax}`;
  const kind = value.constructor?.name;
  if (!Array.isArray(value) && kind !== undefined && kind !== "Object") return ` is a ${kind}`;
  for (const key of Object.keys(value)) {
    const fault = faultIn((value as Record<string, unknown>)[key], depth + 1);
    if (fault !== undefined) return `.${key}${fault}`;
  }
  return undefined;
}
