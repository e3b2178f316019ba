/**
 * How much a JSON value is at most, without writing it: no text of it is looked into, so a long one costs what a short
 * one does.
 */
import type { JsonValue } from "@millrace/protocol";

/** As JSON in UTF-8 it has at most so many bytes for each unit of weight: a control character is written with six. */
export const bytesOfWeight = 6;
const numberWeight = 5;

export function weightOf(value: JsonValue | undefined): number {
  if (typeof value === "string") return value.length + 1;
  if (typeof value !== "object") return numberWeight;
  let weight = 1;
  if (Array.isArray(value)) for (const item of value) weight += weightOf(item);
  else for (const name in value) weight += name.length + 1 + weightOf((value as Record<string, JsonValue>)[name]);
  return weight;
}
