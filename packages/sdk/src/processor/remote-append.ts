/** What a hook appends over HTTP: with a derived key and its cause, and with the refusals that consumers know. */
import { type EventInput, type HouseAppend, StreamError, type StreamEvent } from "@millrace/protocol";
import type { EventsClient } from "../client.ts";
import { isMillraceError, isTransient } from "../errors.ts";

const invalidType = "https://events.iterate.com/events/stream/invalid-event-appended";
const keyCharactersMax = 255;

export interface RemotelyAppended {
  event: StreamEvent;
  /** It stood there before. */
  replayed: boolean;
  /** The answer to the first request was lost: what stood there before may be what that one appended. */
  resent: boolean;
}

/** Rejects with StreamError: `unavailable` whenever the same may succeed later. */
export async function appendRemotely(
  client: EventsClient,
  { path, event, key, source }: Omit<HouseAppend, "fence">,
  signal: AbortSignal,
): Promise<RemotelyAppended> {
  const { cause, depth, slug = "" } = source;
  const { idempotencyKey: own, ...input } = event;
  const idempotencyKey = own ?? remoteKey(key);
  const options = { idempotencyKey, cause: { ...cause, depth: depth - 1, slug }, signal };
  let resent = false;
  try {
    const appended = await client.append(path, input, { ...options, retry: false }).catch((error) => {
      if (!isTransient(error)) throw error;
      resent = true;
      return client.append(path, input, options);
    });
    if (appended.event.type === invalidType && input.type !== invalidType) throw refused(appended.event);
    return { ...appended, resent };
  } catch (error) {
    if (!isMillraceError(error)) throw signal.aborted ? over() : error;
    // A hook that is not deterministic: what an earlier call of it appended here stands.
    if (isMillraceError(error, "idempotency_conflict") && own === undefined) {
      return { event: await eventAt(client, path, error.data.offset, signal), replayed: true, resent };
    }
    throw toStreamError(error);
  }
}

/** The keys of consumers in the server begin with a space that no client can name: here they are a client's. */
export function remoteKey(key: string): string {
  const own = key.replace(/^d:[^/]*\//, "");
  if (own.length <= keyCharactersMax) return own;
  throw new StreamError("invalid_request", "The slug, or the name of the work, is too long for a key.", {});
}

/** The process ends: whether it was appended, the next one finds out. */
function over(): StreamError {
  return new StreamError("unavailable", "The run is over.", { retryAfterSeconds: 1 });
}

async function eventAt(client: EventsClient, path: string, offset: number, signal: AbortSignal): Promise<StreamEvent> {
  for await (const event of client.read(path, { after: offset - 1, limit: 1, signal })) return event;
  throw new StreamError("unavailable", `Event ${offset} of ${path} could not be read.`, { retryAfterSeconds: 1 });
}

function refused({ payload }: StreamEvent): StreamError {
  const { error } = payload as { error: string };
  return new StreamError("invalid_request", `This is no event, and was stored as an invalid one: ${error}`, {});
}

export function toStreamError(error: unknown): unknown {
  if (!isMillraceError(error)) return error;
  if (isTransient(error) || error.code === "unexpected_answer" || error.code === "deleted_while_read") {
    const unavailable = new StreamError("unavailable", error.message, { retryAfterSeconds: 1 });
    unavailable.cause = error;
    return unavailable;
  }
  return new StreamError(error.code as never, error.message, error.data as never);
}

/** What can be said before the server has judged it. */
export function parseLoosely(input: unknown): EventInput {
  const text = JSON.stringify(input) ?? "null";
  const event = JSON.parse(text) as { type?: unknown } | null;
  if (typeof event === "object" && event !== null && typeof event.type === "string") return event as EventInput;
  throw new StreamError("invalid_request", `An event has a type, which is a string; got ${text.slice(0, 100)}.`, {});
}
