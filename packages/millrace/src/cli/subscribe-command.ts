/** `millrace subscribe`: a stream that pushes its events to a webhook or into another stream. */
import type { JsonObject } from "@millrace/sdk";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { expressionOf, onlyOneFromStdin } from "./expression.ts";
import { placeOf } from "./place.ts";
import { printStored } from "./stored.ts";
import { UsageError } from "./usage.ts";
import { headersOf } from "./webhook-headers.ts";

const options = {
  slug: { type: "string", value: "SLUG", help: "its name in the stream; the same again replaces it" },
  webhook: { type: "string", value: "URL", help: "POST each event there (--url is the Millrace server)" },
  websocket: { type: "string", value: "URL", help: "or open a WebSocket there, and send each event over it" },
  to: { type: "string", value: "STREAM", help: "or append each event to this stream" },
  filter: { type: "string", value: "JSONATA", help: "only events for which this is true; @FILE reads it from there" },
  transform: { type: "string", value: "JSONATA", help: "what is sent for an event; @FILE reads it from there" },
  header: { type: "string", multiple: true, value: "LINE", help: "of the request, such as 'x-team: {{secret:TEAM}}'" },
  "signing-secret": { type: "string", value: "NAME", help: "sign with this stored secret; else the server makes one" },
  timeout: { type: "string", value: "SECONDS", help: "for each event; at most 15, which is the default" },
  "start-from": { type: "string", value: "PLACE", help: "start, end (default) or the offset behind which to begin" },
  ...clientOptions,
} as const;

export const subscribeCommand: Command = {
  usage: "subscribe <path> --slug SLUG (--webhook URL | --websocket URL | --to STREAM) [options]",
  about: `Appends "subscription/configured" and prints it: from then on the server delivers the stream's events there, in
order and at least once, with retries. Requests are signed as Standard Webhooks describes. Where the server makes the
secret for that, signingSecret shows it in this answer only; unsubscribe and subscribe again makes another.
A subscription that is refused is stored as an invalid event that says why; then the exit code is 1.`,
  options,
  examples: [
    "millrace subscribe /me/hello --slug audit --webhook https://example.com/hooks",
    `millrace subscribe /me/hello --slug orders --webhook https://example.com/hooks --filter "type = 'order-placed'" \\
    --header 'authorization: Bearer {{secret:AUDIT_TOKEN}}' --start-from start`,
    `millrace subscribe /me/child --slug results --to /me --filter "type = 'task-done'"`,
  ],
  async run(args) {
    const { values, positionals } = parseCommand("subscribe", args, options, { min: 1, max: 1 });
    const path = pathArgument(positionals[0]);
    const payload = await payloadOf(values);
    const type = "https://events.iterate.com/events/stream/subscription/configured";
    return withClient(values, { path }, async (client) => {
      return printStored(await client.append(path, { type, payload }, { retry: false }), values.json);
    });
  },
};

interface Values {
  slug?: string | undefined;
  webhook?: string | undefined;
  websocket?: string | undefined;
  to?: string | undefined;
  filter?: string | undefined;
  transform?: string | undefined;
  header?: string[] | undefined;
  "signing-secret"?: string | undefined;
  timeout?: string | undefined;
  "start-from"?: string | undefined;
}

async function payloadOf(values: Values): Promise<JsonObject> {
  const { slug, filter, transform } = values;
  const startFrom = values["start-from"];
  if (slug === undefined) throw new UsageError("--slug SLUG names the subscription.\nSee millrace subscribe --help.");
  const destination = destinationOf(values);
  onlyOneFromStdin(filter, transform);
  return {
    slug,
    ...destination,
    ...(filter === undefined ? {} : { jsonataFilter: await expressionOf("filter", filter) }),
    ...(transform === undefined ? {} : { jsonataTransform: await expressionOf("transform", transform) }),
    ...(startFrom === undefined ? {} : { startFrom: placeOf("start-from", ["start", "end"], startFrom) }),
  };
}

/** @throws UsageError */
function destinationOf({ webhook, websocket, to, header, timeout, "signing-secret": secret }: Values): JsonObject {
  const given = [webhook, websocket, to].filter((value) => value !== undefined).length;
  if (given !== 1) {
    throw new UsageError(
      `One of --webhook URL, --websocket URL and --to STREAM says where; got ${["none", "one", "both"][given] ?? given}.\nSee millrace subscribe --help.`,
    );
  }
  const callbackUrl = webhook ?? websocket;
  if (callbackUrl !== undefined) {
    return {
      type: webhook === undefined ? "websocket" : "webhook",
      callbackUrl,
      ...(header === undefined ? {} : { headers: headersOf(header) }),
      ...(secret === undefined ? {} : { signingSecret: secretReference(secret) }),
      ...(timeout === undefined ? {} : { timeoutSeconds: secondsOf(timeout) }),
    };
  }
  if (header !== undefined || secret !== undefined || timeout !== undefined) {
    throw new UsageError("--header, --signing-secret and --timeout are for --webhook and --websocket.");
  }
  return { type: "stream", path: pathArgument(to) };
}

/** Somebody who takes it for the secret itself would write that into the stream. @throws UsageError */
function secretReference(name: string): string {
  if (/^[A-Za-z0-9._-]{1,255}$/.test(name) && !name.startsWith("whsec_")) return `{{secret:${name}}}`;
  throw new UsageError("--signing-secret is the name of a secret that the server has, never its value.");
}

function secondsOf(text: string): number {
  if (/^\d{1,6}(?:\.\d{1,6})?$/.test(text)) return Number(text);
  throw new UsageError(`--timeout is a number of seconds, such as 10; got "${text}".`);
}
