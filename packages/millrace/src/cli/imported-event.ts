/** What a stored event becomes when it is imported. Pure: a stored event in, what is sent out. */
import { createHash } from "node:crypto";
import { contractFor, type EventInput, isUnderPrefix } from "@millrace/protocol";
import type { StoredEvent } from "./import-source.ts";

const pathInKeyCharacters = 160;

/**
 * Only the server may state its own facts (`initialized`, `child-stream-created` ...), and it states those of the new
 * stream by itself: they are left out. Other built-in events would act again (pause the stream, deploy code), so they
 * come in as themselves only if that is asked for.
 */
export function importedEvent(event: StoredEvent, control: boolean): EventInput | "left out" {
  const { type, payload = {}, metadata } = event;
  const builtin = isUnderPrefix(type);
  if (builtin && contractFor(type)?.serverOnly) return "left out";
  return {
    ...(builtin && !control ? { type: "imported", payload: { type, payload } } : { type, payload }),
    ...(metadata === undefined ? {} : { metadata }),
    idempotencyKey: keyOf(event),
  };
}

/** The same event of the same life of a stream has the same key, so that an import can be done again. */
function keyOf({ streamPath, offset, createdAt = "" }: StoredEvent): string {
  const path =
    streamPath.length <= pathInKeyCharacters ? streamPath : createHash("sha256").update(streamPath).digest("hex");
  return `import:${path}@${offset}:${createdAt.slice(0, 30)}`;
}

/** Where the events of a stream go: the root of the file becomes the target, and what lies below stays below. */
export function importedPath(streamPath: string, root: string, target: string): string {
  const below = streamPath.slice(root === "/" ? 0 : root.length);
  if (below === "" || below === "/") return target;
  return target === "/" ? below : target + below;
}
