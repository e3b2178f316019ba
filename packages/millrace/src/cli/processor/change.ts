/** What an event changed in a state, and values, each short enough for a line. */
import { isDeepStrictEqual } from "node:util";
import { escapeControls } from "../escape-controls.ts";

const charactersMax = 60;
const changesMax = 4;

/** Such as `pings 1 -> 2, last added "x"`; undefined when nothing changed. */
export function changeText(before: unknown, after: unknown): string | undefined {
  if (Object.is(before, after) || isDeepStrictEqual(before, after)) return undefined;
  if (!isRecord(before) || !isRecord(after)) return transition(before, after);
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const changes = keys.flatMap((key) => {
    if (isDeepStrictEqual(before[key], after[key])) return [];
    if (!(key in after)) return [`${key} removed`];
    if (!(key in before)) return [`${key} added ${shortJson(after[key])}`];
    return [`${key} ${transition(before[key], after[key])}`];
  });
  const more = changes.length - changesMax;
  return `${changes.slice(0, changesMax).join(", ")}${more > 0 ? `, and ${more} more` : ""}`;
}

function transition(before: unknown, after: unknown): string {
  if (Array.isArray(before) && Array.isArray(after) && before.length !== after.length) {
    return `${before.length} -> ${after.length} items, last ${shortJson(after.at(-1))}`;
  }
  if (isRecord(before) && isRecord(after)) return `{${changeText(before, after)}}`;
  return `${shortJson(before)} -> ${shortJson(after)}`;
}

export function shortJson(value: unknown): string {
  const text = escapeControls(JSON.stringify(value) ?? "undefined");
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax - 3)}...`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
