/** What an append is answered with, as every command that appends prints it. */
import type { Appended, AppendedBatch, StreamEvent } from "@millrace/sdk";
import { createOutput, note } from "./output.ts";

/**
 * Each event; one that configured a subscription with the secret that the server made for it, which is in no event and
 * in no later answer.
 * @returns the exit code: 1 if something of it was no event. It is kept, but a script should hear of it.
 */
export async function printStored(answer: Appended | AppendedBatch, json: boolean | undefined): Promise<number> {
  const output = createOutput(json);
  const stored = "events" in answer ? answer.events : [answer.event];
  for (const event of stored) {
    const signingSecret = "events" in answer ? secretOf(event, answer.signingSecrets) : answer.signingSecret;
    await output.item(signingSecret === undefined ? event : { ...event, signingSecret });
    if (signingSecret !== undefined && !json) note(secretNote(event));
  }
  const invalid = stored.filter(({ type }) => type.endsWith("/events/stream/invalid-event-appended"));
  for (const { offset, payload } of invalid) {
    const { error } = payload as { error?: string };
    note(`stored as an invalid event at offset ${offset}: ${error}`);
  }
  return invalid.length > 0 ? 1 : 0;
}

function secretOf({ type, payload }: StreamEvent, secrets: Record<string, string> = {}): string | undefined {
  if (type !== "https://events.iterate.com/events/stream/subscription/configured") return undefined;
  const { slug } = payload as { slug: string };
  return Object.hasOwn(secrets, slug) ? secrets[slug] : undefined;
}

const secretNote = ({ payload }: StreamEvent): string =>
  `this signingSecret of "${(payload as { slug: string }).slug}" is shown only now and cannot be read again: ` +
  "the receiver needs it to check webhook-signature";
