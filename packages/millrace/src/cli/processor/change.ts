/** What an event changed in a state, and values, each short enough for a line. */
import { inspect, isDeepStrictEqual } from "node:util";
import { escapeControls } from "../escape-controls.ts";

const charactersMax = 60;
const changesMax = 4;
const depthMax = 3;

/** Such as `pings 1 -> 2, last added "x"`; undefined when nothing changed. */
export function changeText(before: unknown, after: unknown, depth = 0): string | undefined {
  if (Object.is(before, after) || isDeepStrictEqual(before, after)) return undefined;
  if (!isRecord(before) || !isRecord(after) || depth === depthMax) return `${shortJson(before)} -> ${shortJson(after)}`;
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const changes = keys.flatMap((key) => {
    if (isDeepStrictEqual(before[key], after[key])) return [];
    if (!(key in after)) return [`${key} removed`];
    if (!(key in before)) return [`${key} added ${shortJson(after[key])}`];
    return [`${key} ${transition(before[key], after[key], depth)}`];
  });
  const more = changes.length - changesMax;
  return `${changes.slice(0, changesMax).join(", ")}${more > 0 ? `, and ${more} more` : ""}`;
}

function transition(before: unknown, after: unknown, depth: number): string {
  if (Array.isArray(before) && Array.isArray(after) && before.length !== after.length) {
    return `${before.length} -> ${after.length} items, last ${shortJson(after.at(-1))}`;
  }
  const change = changeText(before, after, depth + 1) as string;
  return isRecord(before) && isRecord(after) ? `{${change}}` : change;
}

export function shortJson(value: unknown): string {
  const text = escapeControls(jsonOf(value) ?? inspected(value));
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax - 3)}...`;
}

/** What a log has with it, as JSON can hold it. */
export function printable(value: unknown): unknown {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  return jsonOf(value) === undefined ? inspected(value) : value;
}

/** Undefined for what is no JSON: big integers, circles, functions. */
function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

const inspected = (value: unknown): string => inspect(value, { breakLength: Number.POSITIVE_INFINITY, depth: 3 });

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
