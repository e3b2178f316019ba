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
  { firstAt }: Pick<ConsumerSpec, "firstAt">,
  { project, clock, streamId }: ConsumerPlace,
  secrets: Secrets,
): Sign {
  const name = signingSecret === undefined ? undefined : secretNames(signingSecret)[0];
  const own = name === undefined ? madeSecret(secrets, { project, streamId: streamId(), slug, firstAt }) : undefined;
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

/** The secret that the server makes for a subscription that names none: the same as long as there is one of this slug. */
export async function madeSecret(
  secrets: Secrets,
  of: { project: string; streamId: string; slug: string; firstAt: number },
): Promise<string> {
  const bytes = await secrets.derive(["webhook-signing", of.project, of.streamId, of.slug, String(of.firstAt)]);
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
