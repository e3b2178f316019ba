/** Which signing secrets an append made: those of webhooks that name none, at the first configuration of their slug. */
import { subscriptions } from "../builtin/subscriptions.ts";
import type { Secrets } from "../ports/secrets.ts";
import { decodeRecord, typeOfRecord } from "../record.ts";
import { sliceOf } from "../state.ts";
import type { Appended, Stream } from "../stream.ts";
import { madeSecret } from "./signing.ts";
import type { SubscriptionPayload } from "./subscriptions.ts";

const configuredType = "https://events.iterate.com/events/stream/subscription/configured";

/** By slug. Empty where an earlier append of the same key, or of the same slug, has shown it already. */
export async function madeSecrets(
  stream: Stream,
  appended: readonly Appended[],
  secrets: Secrets,
): Promise<Record<string, string>> {
  const made: Record<string, string> = {};
  const { bySlug } = sliceOf(stream.slices, subscriptions);
  for (const { offset, record, replayed } of appended) {
    if (replayed || typeOfRecord(record) !== configuredType) continue;
    const { slug, type, signingSecret } = decodeRecord(stream.path, offset, record)
      .payload as unknown as SubscriptionPayload;
    const firstAt = Object.hasOwn(bySlug, slug) ? bySlug[slug]?.firstAt : undefined;
    if (type !== "webhook" || signingSecret !== undefined || firstAt !== offset) continue;
    const { project, streamId = "" } = stream;
    made[slug] = await madeSecret(secrets, { project, streamId, slug, firstAt });
  }
  return made;
}
