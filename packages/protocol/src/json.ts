/**
 * JSON as the protocol understands it. `JSON.parse` accepts two things that would not survive being stored: numbers
 * beyond 2^53, which come out as another number, and nesting so deep that the next consumer's stack overflows.
 */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };
export type JsonObject = { [key: string]: JsonValue };

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Why a parsed value cannot be stored as it was sent, or undefined if it can.
 * @param path where the value stands, for the message, such as `payload`
 */
export function jsonFault(value: unknown, depthMax: number, path: string): string | undefined {
  if (typeof value === "number") {
    if (Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER) return undefined;
    return `${path}: a number beyond 2^53 cannot be kept exactly; send it as a string`;
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (depthMax === 0) return `${path}: nested deeper than the limit`;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i];
      if (typeof item === "string") continue;
      const fault = jsonFault(item, depthMax - 1, path);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
  for (const key in value) {
    const item = (value as Record<string, unknown>)[key];
    if (typeof item === "string") continue;
    const fault = jsonFault(item, depthMax - 1, path);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** The value with the keys of every object in order: two texts of the same content give the same string. */
export function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => sortedJson(item)).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${sortedJson(item)}`).join(",")}}`;
}
