/** Which signing secrets an append made: those of subscriptions that leave theirs to the server, and did not before. */
import { subscriptions } from "../builtin/subscriptions.ts";
import type { Secrets } from "../ports/secrets.ts";
import { sliceOf } from "../state.ts";
import type { Appended, Stream } from "../stream.ts";
import { madeSecret } from "./signing.ts";

/** By slug. Empty where an earlier append of the same key, or of the same slug, has shown it already. */
export async function madeSecrets(
  stream: Stream,
  appended: readonly Appended[],
  secrets: Secrets,
): Promise<Record<string, string>> {
  const { project, streamId = "" } = stream;
  const stored = new Set(appended.filter(({ replayed }) => !replayed).map(({ offset }) => offset));
  const made: [slug: string, secret: string][] = [];
  for (const { slug, secretAt } of Object.values(sliceOf(stream.slices, subscriptions).bySlug)) {
    if (secretAt === undefined || !stored.has(secretAt)) continue;
    made.push([slug, await madeSecret(secrets, { project, streamId, slug, secretAt })]);
  }
  return Object.fromEntries(made);
}
