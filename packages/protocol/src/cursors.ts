/**
 * Cursors of remote processors, which the server keeps: how far a processor has come on a stream, and which runtime
 * holds it. Nothing moves one without naming what it replaces, so two runtimes never both believe that they moved it.
 */
import { StreamError } from "./errors.ts";
import { isJsonObject, type JsonObject, type JsonValue, jsonFault } from "./json.ts";
import { cursorEpochCharactersMax } from "./limits.ts";

/** What a runtime says of its cursor. */
export interface RemoteCursorInput {
  /** It has acted on everything up to here. */
  offset: number;
  /** Any word, another one whenever somebody begins anew: it stands in the keys of what is appended. */
  epoch: string;
  /** Who holds it: one running process, not a name that a second one could have. */
  runtimeId: string;
  /** The offset that is stored now; null where there is no cursor yet. */
  replaces: number | null;
  /** What had begun when it was last heard. */
  interrupted?: JsonValue;
  /** Whatever else the runtime needs to go on: open work, attempts. */
  progress?: JsonObject;
  /** It is given back with this: from then on any runtime may take it, without waiting for a silence. */
  release?: boolean;
}

export interface RemoteCursor extends Omit<RemoteCursorInput, "replaces" | "release"> {
  slug: string;
  path: string;
  /** Its holder gave it back: nobody holds it. */
  released?: true;
  /** When it last changed. */
  updatedAt: string;
  /** How long ago its holder was last heard. */
  silentMs: number;
}

/** Who holds a cursor, in a refusal. */
export interface CursorHolder {
  runtimeId: string;
  offset: number;
  silentMs: number;
}

export const runtimeIdPattern: RegExp = /^[A-Za-z0-9_-]{1,64}$/;

const keys = ["offset", "epoch", "runtimeId", "replaces", "interrupted", "progress", "release"];

/** The shape of it; how much it may hold is known to whoever keeps it. @throws StreamError `invalid_request` */
export function parseRemoteCursor(value: unknown, jsonDepth: number): RemoteCursorInput {
  if (!isJsonObject(value)) throw wrong(undefined, "A cursor is a JSON object.");
  const unknownKey = Object.keys(value).find((key) => !keys.includes(key));
  if (unknownKey !== undefined) {
    throw wrong(unknownKey.slice(0, 100), `A cursor has ${keys.join(", ")}, and no other keys.`);
  }
  const { offset, epoch, runtimeId, replaces, interrupted, progress, release } = value;
  if (!isOffset(offset)) throw wrong("offset", "offset is a whole number from 0.");
  if (typeof epoch !== "string" || epoch === "" || epoch.length > cursorEpochCharactersMax) {
    throw wrong("epoch", `epoch is a text of 1 to ${cursorEpochCharactersMax} characters.`);
  }
  if (typeof runtimeId !== "string" || !runtimeIdPattern.test(runtimeId)) {
    throw wrong("runtimeId", "runtimeId is 1 to 64 characters of A-Z a-z 0-9 _ -.");
  }
  if (replaces !== null && !isOffset(replaces)) {
    throw wrong("replaces", "replaces is the offset that is stored now, or null where there is none.");
  }
  if (progress !== undefined && !isJsonObject(progress)) throw wrong("progress", "progress is a JSON object.");
  if (release !== undefined && typeof release !== "boolean") throw wrong("release", "release is true or false.");
  for (const [field, kept] of Object.entries({ interrupted, progress })) {
    const fault = jsonFault(kept, jsonDepth, field);
    if (fault !== undefined) throw wrong(field, `${fault}.`);
  }
  return {
    offset,
    epoch,
    runtimeId,
    replaces,
    ...(interrupted === undefined ? {} : { interrupted }),
    ...(progress === undefined ? {} : { progress }),
    ...(release === true ? { release } : {}),
  };
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function wrong(field: string | undefined, message: string): StreamError<"invalid_request"> {
  return new StreamError("invalid_request", message, field === undefined ? {} : { field });
}
