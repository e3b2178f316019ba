/** Signatures of webhook deliveries, as https://www.standardwebhooks.com describes them. */
import { secretNames } from "@millrace/protocol";
import { Webhook } from "standardwebhooks";
import { SecretError, type Secrets } from "../ports/secrets.ts";
import type { ConsumerPlace, ConsumerSpec } from "./spec.ts";
import type { SubscriptionPayload } from "./subscriptions.ts";

/** The headers that prove who sent a body, and when. */
export type Sign = (id: string, body: string) => Promise<Record<string, string>>;

export function signer(
  { slug, callbackUrl, signingSecret }: SubscriptionPayload,
  { secretAt }: Pick<ConsumerSpec, "secretAt">,
  { project, clock, streamId }: ConsumerPlace,
  secrets: Secrets,
): Sign {
  const name = signingSecret === undefined ? undefined : secretNames(signingSecret)[0];
  const made = { project, streamId: streamId(), slug, secretAt: secretAt as number };
  const own = name === undefined ? madeSecret(secrets, made) : undefined;
  // Whoever asks hears of it; until then nobody does.
  own?.catch(() => {});
  return async (id, body) => {
    const secret = (await own) ?? (await secrets.reveal(project, name as string, callbackUrl as string));
    const now = clock.now();
    return {
      "webhook-id": id,
      "webhook-timestamp": String(Math.floor(now / 1_000)),
      "webhook-signature": webhookOf(secret, name).sign(id, new Date(now), body),
    };
  };
}

/** The secret that the server makes for a subscription that names none: the same for as long as it names none. */
export async function madeSecret(
  secrets: Secrets,
  of: { project: string; streamId: string; slug: string; secretAt: number },
): Promise<string> {
  const bytes = await secrets.derive(["webhook-signing", of.project, of.streamId, of.slug, String(of.secretAt)]);
  return `whsec_${btoa(String.fromCharCode(...bytes))}`;
}

function webhookOf(secret: string, name: string | undefined): Webhook {
  try {
    return new Webhook(secret.trim());
  } catch {
    // What the library says may hold a part of it.
    throw new SecretError(`The secret ${name} cannot sign: expected base64, with or without whsec_ in front.`);
  }
}
