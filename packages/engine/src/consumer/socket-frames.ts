/** The frames of a WebSocket subscription: JSON texts. Pure. What a peer sends is judged here before anything is done. */
import { isJsonObject, type JsonObject } from "@millrace/protocol";

export type PeerFrame =
  | { type: "ack"; offset: number }
  | { type: "append"; id: string; path?: string; event: unknown; cause?: FrameCause }
  | { type: "error"; offset?: number; message: string };

/** The event that an append answers; of the own stream without a path. */
export interface FrameCause {
  streamPath?: string;
  offset: number;
}

const idCharactersMax = 255;

/** What is wrong with it, in words, where it is no frame; with the id of its append, as far as that can be seen. */
export function parseFrame(text: string): PeerFrame | { type: "fault"; id?: string; message: string } {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    return fault("A frame is JSON.");
  }
  if (!isJsonObject(frame as never)) return fault("A frame is a JSON object with a type.");
  const fields = frame as JsonObject;
  switch (fields.type) {
    case "ack":
      return isOffset(fields.offset) ? { type: "ack", offset: fields.offset } : fault("ack: offset is no offset.");
    case "append":
      return parseAppend(fields);
    case "error":
      return {
        type: "error",
        message: typeof fields.message === "string" ? fields.message : "",
        ...(isOffset(fields.offset) ? { offset: fields.offset } : {}),
      };
    default:
      return fault('A frame of a peer has the type "ack", "append" or "error".');
  }
}

function parseAppend({ id, path, event, cause }: JsonObject): ReturnType<typeof parseFrame> {
  if (typeof id !== "string" || id === "" || id.length > idCharactersMax) {
    return fault(`append: id is a string of 1 to ${idCharactersMax} characters.`);
  }
  if (path !== undefined && typeof path !== "string") return fault("append: path is a string.", id);
  if (cause !== undefined && !isCause(cause)) {
    return fault("append: cause is {offset}, or {streamPath, offset}.", id);
  }
  return {
    type: "append",
    id,
    event,
    ...(path === undefined ? {} : { path }),
    ...(cause === undefined ? {} : { cause }),
  };
}

function isCause(value: unknown): value is FrameCause & JsonObject {
  if (!isJsonObject(value as never)) return false;
  const { streamPath, offset } = value as JsonObject;
  return isOffset(offset) && (streamPath === undefined || typeof streamPath === "string");
}

/** @param event JSON text */
export function eventFrame(offset: number, after: number, event: string): string {
  return `{"type":"event","offset":${offset},"after":${after},"event":${event}}`;
}

export function appendedFrame(id: string, event: object): string {
  return JSON.stringify({ type: "appended", id, event });
}

export function errorFrame(id: string | undefined, code: string, message: string): string {
  return JSON.stringify({ type: "error", ...(id === undefined ? {} : { id }), code, message });
}

function fault(message: string, id?: string) {
  return { type: "fault" as const, message, ...(id === undefined ? {} : { id }) };
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
