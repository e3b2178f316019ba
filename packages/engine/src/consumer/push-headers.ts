/** What goes out beside the events: the headers that a subscription names, with their secrets, and the server's own. */
import { nameOfSlug, type StreamEvent, secretNames, withSecrets } from "@millrace/protocol";
import type { Sign } from "./signing.ts";
import type { ConsumerPlace } from "./spec.ts";
import type { SubscriptionPorts } from "./subscriptions.ts";

const excerptCharactersMax = 200;

/** What no configuration can set otherwise. */
export async function ownHeaders(
  event: StreamEvent,
  slug: string,
  place: ConsumerPlace,
  body: string,
  sign: Sign,
): Promise<Record<string, string>> {
  const { streamPath, offset, source } = event;
  // A header takes no more than Latin letters, and a slug any.
  const name = nameOfSlug(slug);
  const id = `${place.streamId()}.${offset}.${name}`;
  return {
    ...(await sign(id, body)),
    "millrace-cause": `${encodeURIComponent(streamPath)}@${offset}`,
    "millrace-depth": String(source?.depth ?? 0),
    "millrace-processor": name,
    "millrace-project": place.project,
  };
}

/** The configured headers with their secrets, and how to take those out of a text again. */
export async function filledHeaders(
  configured: Readonly<Record<string, string>>,
  url: string,
  project: string,
  secrets: SubscriptionPorts["secrets"],
): Promise<{ headers: Record<string, string>; redact(text: string): string }> {
  const values = new Map<string, string>();
  for (const name of Object.values(configured).flatMap(secretNames)) {
    values.set(name, await secrets.reveal(project, name, url));
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(configured)) {
    headers[name.toLowerCase()] = withSecrets(value, (secret) => values.get(secret) as string);
  }
  return { headers, redact: (text) => withoutValues(text, values) };
}

/** A receiver may repeat what it was sent, as it is or escaped; a message is an event that anybody can read. */
function withoutValues(text: string, values: ReadonlyMap<string, string>): string {
  const forms = [...values].flatMap(([name, value]) => formsOf(value).map((form) => ({ name, form })));
  // The longest first: a short secret may be the beginning of a longer one, whose rest would stay.
  forms.sort((a, b) => b.form.length - a.form.length);
  let redacted = text;
  for (const { name, form } of forms) redacted = redacted.replaceAll(form, () => `{{secret:${name}}}`);
  return redacted;
}

function formsOf(stored: string): string[] {
  // A header keeps no blanks around its value.
  const value = stored.trim();
  const json = JSON.stringify(value).slice(1, -1);
  return [value, json, json.replaceAll("/", "\\/"), encodeURIComponent(value)].filter((form) => form !== "");
}

export function hostOf(url: string): string {
  return new URL(url).origin;
}

/** The beginning of an answer, on one line. */
export function excerpt(body: string): string {
  // What an answer holds must not steer a terminal.
  const line = body
    .slice(0, 4 * excerptCharactersMax)
    .replace(/[\s\p{Cc}]+/gu, " ")
    .trim();
  if (line === "") return ".";
  return `: ${line.length > excerptCharactersMax ? `${line.slice(0, excerptCharactersMax)}…` : line}`;
}
