/**
 * Append: one event or a batch, with an idempotency key of its own if the caller gives none, so that a repetition
 * after an unknown outcome never stores an event twice.
 */
import type { EventInput, JsonValue, StreamEvent } from "@millrace/protocol";
import { type Connection, readJson } from "./connection.ts";
import { retrying, toRetry } from "./retry.ts";

export interface AppendOptions {
  /** For a batch it counts as `<key>/<index>` for each event. Without one the client makes one up. */
  idempotencyKey?: string;
  signal?: AbortSignal;
  /** `false`: send once, and make up no key. */
  retry?: boolean;
  /** Code says because of which event it appends, which guards against loops: see `source` of the stored event. */
  cause?: { streamPath: string; offset: number; depth: number; slug: string };
}

export interface Appended<Payload = JsonValue> {
  event: StreamEvent<Payload>;
  /** It was there already, from an earlier append with the same key: nothing was appended. */
  replayed: boolean;
  /**
   * With which a webhook is signed, where the server made that up for a subscription: `whsec_...`. Only the first answer
   * holds it; a repetition of the append does not.
   */
  signingSecret?: string;
}

export interface AppendedBatch<Payload = JsonValue> {
  events: StreamEvent<Payload>[];
  /** All of them were there already. */
  replayed: boolean;
  /** The same by the slug of each subscription; also in the first answer only. */
  signingSecrets?: Record<string, string>;
}

/** The form in which everything stands in one object. */
export interface AppendOne {
  path?: string;
  event: EventInput;
}

export interface AppendMany {
  path?: string;
  events: readonly EventInput[];
}

/** Without a path the stream is the one at `pathPrefix`. */
export interface Append {
  (path: string, event: EventInput, options?: AppendOptions): Promise<Appended>;
  (path: string, events: readonly EventInput[], options?: AppendOptions): Promise<AppendedBatch>;
  (event: EventInput, options?: AppendOptions): Promise<Appended>;
  (events: readonly EventInput[], options?: AppendOptions): Promise<AppendedBatch>;
  (append: AppendOne, options?: AppendOptions): Promise<Appended>;
  (append: AppendMany, options?: AppendOptions): Promise<AppendedBatch>;
}

interface Appending {
  path: string;
  /** An event, or a list of them. */
  what: EventInput | readonly EventInput[];
  options: AppendOptions;
}

export function createAppend(connection: Connection): Append {
  async function append(...args: unknown[]): Promise<Appended | AppendedBatch> {
    const { path, what, options } = parseArguments(args);
    const { body, headers } = keyed(what, options);
    Object.assign(headers, causeHeaders(options.cause));
    const route = connection.at("/api/streams", path);
    const retry = options.retry === false ? toRetry({ attempts: 0 }) : connection.retry;
    const { signal } = options;
    return retrying(retry, signal, async () => {
      const answer = await connection.send(route, { method: "POST", headers, body, signal });
      const appended = await readJson<Omit<Appended & AppendedBatch, "replayed">>(answer, signal);
      return { ...appended, replayed: answer.headers.has("idempotent-replay") };
    });
  }
  return append as Append;
}

function parseArguments(args: unknown[]): Appending {
  if (typeof args[0] === "string") {
    const [path, what, options = {}] = args as [string, Appending["what"], AppendOptions?];
    return { path, what, options };
  }
  const [first, options = {}] = args as [EventInput | readonly EventInput[] | AppendOne | AppendMany, AppendOptions?];
  if (Array.isArray(first)) return { path: "", what: first, options };
  const { path = "", event, events } = first as Partial<AppendOne & AppendMany>;
  return { path, what: event ?? events ?? (first as EventInput), options };
}

function causeHeaders(cause: AppendOptions["cause"]): Record<string, string> {
  if (cause === undefined) return {};
  return {
    "millrace-cause": `${encodeURIComponent(cause.streamPath)}@${cause.offset}`,
    "millrace-depth": String(cause.depth),
    "millrace-processor": encodeURIComponent(cause.slug),
  };
}

/**
 * The key goes into a header, so that the event stays as the caller wrote it. Where some events of a batch have keys of
 * their own a header would contradict them; then each of the others gets one.
 */
function keyed(
  what: Appending["what"],
  { idempotencyKey, retry }: AppendOptions,
): { body: string; headers: Record<string, string> } {
  const headers: Record<string, string> = { "content-type": "application/json" };
  const key = idempotencyKey ?? (retry === false ? undefined : newKey());
  const events = Array.isArray(what) ? (what as readonly EventInput[]) : [what as EventInput];
  const someHaveKeys = events.some((event) => event?.idempotencyKey !== undefined);
  if (key === undefined) return { body: JSON.stringify(what), headers };
  if (idempotencyKey !== undefined || !someHaveKeys) {
    headers["idempotency-key"] = key;
    return { body: JSON.stringify(what), headers };
  }
  const filled = events.map((event, i) => ({ ...event, idempotencyKey: event.idempotencyKey ?? `${key}/${i}` }));
  return { body: JSON.stringify(Array.isArray(what) ? filled : filled[0]), headers };
}

/** Not `randomUUID`: browsers have it only on pages that came over https. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
