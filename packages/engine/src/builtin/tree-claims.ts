/**
 * What a path owes its ancestors, as the text of a claim: the news of a birth, of a deletion, or of both when it was
 * deleted before its birth was announced. Behind it stands what code had to do with the birth, because the
 * announcement says so and counts on in depth. It is in the claim and not read from the log when it is announced: a
 * deletion empties the log, and a birth from outside, which has none of it, is not to cost a read.
 */
import type { EventInput, EventSource } from "@millrace/protocol";
import type { Claim } from "../ports/log.ts";

/** What code had to do with a birth. */
export interface Origin {
  /** Of the event that brought the stream into being. */
  depth: number;
  /** Because of which event that was appended. */
  createdBy?: { streamPath: string; offset: number };
}

export interface Owed {
  birth: boolean;
  deletion: boolean;
  origin: Origin | undefined;
}

export const childStreamCreated = "https://events.iterate.com/events/stream/child-stream-created";

const birth = "birth";
const deletion = "deletion";
const birthAndDeletion = "birth,deletion";

/** @param first what was appended when there was no stream */
export function claimAtBirth(
  path: string,
  now: number,
  first: { event: EventInput; source?: EventSource },
): Claim | null {
  if (path === "/") return null;
  return { dueAt: now, kind: kindOf(birth, originOf(first)) };
}

export function claimAtRemoval(path: string, open: Claim | null, now: number): Claim | null {
  if (path === "/") return null;
  const owed = open === null ? undefined : owedBy(open);
  return { dueAt: now, kind: owed?.birth ? kindOf(birthAndDeletion, owed.origin) : deletion };
}

export function owedBy({ kind }: Claim): Owed {
  const end = kind.indexOf(" ");
  const what = end < 0 ? kind : kind.slice(0, end);
  return {
    birth: what === birth || what === birthAndDeletion,
    deletion: what === deletion || what === birthAndDeletion,
    origin: end < 0 ? undefined : (JSON.parse(kind.slice(end + 1)) as Origin),
  };
}

function kindOf(what: string, origin: Origin | undefined): string {
  return origin === undefined ? what : `${what} ${JSON.stringify(origin)}`;
}

/**
 * A stream that comes into being with the news of one below it has the origin of that one: whoever makes `/a/b/c` has
 * made `/a/b` too.
 */
function originOf({ event, source }: { event: EventInput; source?: EventSource }): Origin | undefined {
  if (source === undefined) return undefined;
  const told = event.type === childStreamCreated;
  const createdBy = told ? (event.payload as { createdBy?: Origin["createdBy"] }).createdBy : source.cause;
  const depth = told ? source.depth - 1 : source.depth;
  if (createdBy !== undefined) return { depth, createdBy };
  return depth === 0 ? undefined : { depth };
}
