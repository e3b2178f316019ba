/** What code says, as it is kept: of a bounded length, made of plain JSON, and never a reason for a hook to fail. */
import type { JsonValue } from "@millrace/protocol";

/** Of one message, and of the JSON of its details: an event may be longer, and is the place for what is. */
export const saidCharactersMax: number = 16 * 1024;
/** Of what is put behind a text that was cut. */
const remarkCharacters = 40;

export function boundedMessage(message: unknown): string {
  return cut(typeof message === "string" ? message : textOf(message));
}

/** Undefined where there are none. What is too long becomes a text, which is the beginning of its JSON. */
export function boundedDetails(details: unknown): JsonValue | undefined {
  if (details === undefined) return undefined;
  // Such as what was cut before, in a sandbox: as JSON it would be longer.
  if (typeof details === "string") return cut(details);
  const json = jsonOf(details);
  return json.length > saidCharactersMax ? cut(json) : (JSON.parse(json) as JsonValue);
}

/** Cut again it stays as it is. */
function cut(text: string): string {
  if (text.length <= saidCharactersMax) return copyOf(text);
  const kept = text.slice(0, saidCharactersMax - remarkCharacters);
  return copyOf(`${kept}... (cut, it had ${text.length} characters)`);
}

/** A part of a text may keep all of it in memory, for as long as the part is there. */
function copyOf(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string;
}

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value, withErrors) ?? JSON.stringify(textOf(value));
  } catch {
    return JSON.stringify(textOf(value));
  }
}

/** JSON knows nothing of an error's message. */
function withErrors(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const { name, message, stack } = value;
  return { ...value, name, message, stack };
}

function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return "(what cannot be shown)";
  }
}
