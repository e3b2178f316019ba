/** `POST /api/streams/{path}` and `POST /{path}`: body in, stored events out. The hot path of the server. */
import { type Appended, type AppendInput, type Engine, linePrefix, toLine } from "@millrace/engine";
import { type EventSource, idempotencyKeyCharactersMax, parsePath } from "@millrace/protocol";
import { parseAppendBody } from "./append-body.ts";
import type { Incoming, Outgoing } from "./exchange.ts";
import { invalidRequest } from "./refusals.ts";
import { toTarget } from "./target.ts";

const subscriptionConfigured = "https://events.iterate.com/events/stream/subscription/configured";

export async function appendRoute(engine: Engine, incoming: Incoming, rawPath: string): Promise<Outgoing> {
  const { project, path, query } = toTarget(incoming, rawPath);
  const bytes = await incoming.body(engine.limits.batchBytes);
  const parsing = parseAppendBody(bytes, incoming, query, engine.limits);
  const { inputs, batch } = parsing instanceof Promise ? await parsing : parsing;
  const key = incoming.header("idempotency-key");
  if (key !== undefined) applyKey(inputs, key, batch);
  const source = sourceOf(incoming);
  const options = source === undefined ? { bytes: bytes.length } : { bytes: bytes.length, source };
  const appended = await engine.append(project, path, inputs, options);
  const asked = batch ? undefined : engine.answerTo(project, path, appended[0] as Appended);
  const response = asked === undefined ? undefined : await asked;
  if (response !== undefined) return asAsked(response);
  // Asked for only where there may be one: this is the way of every append.
  const configures = inputs.some(({ event }) => event.type === subscriptionConfigured);
  const secrets = configures ? await engine.signingSecrets(project, path, appended) : {};
  return answer(path, appended, batch, secrets);
}

/** A string is plain text, as those who send a challenge expect it. */
function asAsked(response: string): Outgoing {
  const value: unknown = JSON.parse(response);
  const isText = typeof value === "string";
  const type = isText ? "text/plain; charset=utf-8" : "application/json";
  // Some of it is what a stranger sent: no browser may take it for a page of this server.
  const headers = { "content-type": type, "x-content-type-options": "nosniff" };
  return { status: 200, headers, body: isText ? value : response };
}

function answer(
  path: string,
  appended: Appended[],
  batch: boolean,
  secrets: Readonly<Record<string, string>>,
): Outgoing {
  const prefix = linePrefix(path);
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (appended.every(({ replayed }) => replayed)) headers["idempotent-replay"] = "true";
  const lines = appended.map(({ offset, record }) => toLine(prefix, offset, record));
  const shown = Object.values(secrets);
  // Nobody is ever told again.
  const beside =
    shown.length === 0
      ? ""
      : `,"${batch ? "signingSecrets" : "signingSecret"}":${JSON.stringify(batch ? secrets : shown[0])}`;
  const body = batch ? `{"events":[${lines.join(",")}]${beside}}\n` : `{"event":${lines[0]}${beside}}\n`;
  return { status: 200, headers, body };
}

/** The header is the same thing as the field; on a batch it counts as `<key>/<index>`. Both given must agree. */
function applyKey(inputs: AppendInput[], header: string, batch: boolean): void {
  for (const [index, input] of inputs.entries()) {
    const key = batch ? `${header}/${index}` : header;
    if (key === "" || key.length > idempotencyKeyCharactersMax) {
      throw invalidRequest(
        `An idempotency key has 1 to ${idempotencyKeyCharactersMax} characters; this one has ${key.length}.`,
        "Idempotency-Key",
      );
    }
    if (input.idempotencyKey !== undefined && input.idempotencyKey !== key) {
      throw invalidRequest(
        `The header Idempotency-Key (${JSON.stringify(key)}) and the field idempotencyKey (${JSON.stringify(input.idempotencyKey)}) differ. Send one, or the same twice.`,
        "Idempotency-Key",
      );
    }
    input.idempotencyKey = key;
    input.event.idempotencyKey = key;
  }
}

/** A remote processor says why it appends. Believed without look-up: a guard against accidents, not attackers. */
function sourceOf(incoming: Incoming): EventSource | undefined {
  const cause = incoming.header("millrace-cause");
  const depth = incoming.header("millrace-depth");
  const slug = incoming.header("millrace-processor");
  if (cause === undefined && depth === undefined && slug === undefined) return undefined;
  const source: EventSource = { kind: "remote", depth: parseDepth(depth) + 1 };
  if (slug !== undefined) source.slug = parseSlug(slug);
  if (cause !== undefined) source.cause = parseCause(cause);
  return source;
}

function parseDepth(depth: string | undefined): number {
  if (depth === undefined) return 0;
  if (/^\d{1,9}$/.test(depth)) return Number(depth);
  throw invalidRequest(`Millrace-Depth is a whole number from 0; got "${depth}".`, "Millrace-Depth");
}

/** Deliveries name a subscription in ASCII, and are answered with the same; a stray % is taken as it stands. */
function parseSlug(header: string): string {
  const slug = decoded(header);
  if (slug.length > 0 && slug.length <= 255) return slug;
  throw invalidRequest("Millrace-Processor has 1 to 255 characters.", "Millrace-Processor");
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function parseCause(cause: string): { streamPath: string; offset: number } {
  const at = cause.lastIndexOf("@");
  const offset = cause.slice(at + 1);
  if (at <= 0 || !/^[1-9]\d{0,15}$/.test(offset) || !Number.isSafeInteger(Number(offset))) {
    throw invalidRequest(`Millrace-Cause is <url-encoded path>@<offset>; got "${cause}".`, "Millrace-Cause");
  }
  return { streamPath: parsePath(cause.slice(0, at)), offset: Number(offset) };
}
