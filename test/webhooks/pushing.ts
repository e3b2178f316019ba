/** Subscriptions of a server in another process, and what is said about them. */
import type { StreamEvent } from "@millrace/protocol";
import { expect } from "vitest";
import { append, builtin, getJson, readAll } from "../processes/http.ts";

export interface ShownConsumer {
  cursor: number;
  lag: number;
  lastError?: string;
  nextAttemptAt?: string;
  halted?: { offset: number; message: string; at: number };
}

/** What a server does by itself is there within milliseconds, or after a second where it fails first. */
export const patience = { timeout: 20_000, interval: 20 };

/** Only events of the type `n`, so that what is said about others is not in the way. */
export async function subscribeWebhook(
  url: string,
  path: string,
  slug: string,
  callbackUrl: string,
  more: object = {},
): Promise<StreamEvent> {
  const payload = { slug, type: "webhook", callbackUrl, jsonataFilter: 'type = "n"', ...more };
  const [stored] = await append(url, path, { type: builtin("subscription/configured"), payload });
  return stored as StreamEvent;
}

export function transformer(slug: string, transform: string, matcher = 'type = "n"'): object {
  return { type: builtin("jsonata-transformer-configured"), payload: { slug, matcher, transform } };
}

/** One after another. @returns their offsets, and how long the slowest took to be answered */
export async function appendNumbers(url: string, path: string, count: number) {
  const offsets: number[] = [];
  let slowestMs = 0;
  for (let n = 0; n < count; n++) {
    const startedAt = performance.now();
    const [stored] = await append(url, path, { type: "n", payload: { n } });
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    offsets.push((stored as StreamEvent).offset);
  }
  return { offsets, slowestMs };
}

export async function consumerOf(url: string, path: string, slug: string): Promise<ShownConsumer | undefined> {
  return (await getJson(url, `/api/state${path}`)).consumers[slug];
}

/** The payloads of all events of a built-in type, by its short name. */
export async function payloadsOf(url: string, path: string, name: string): Promise<Record<string, unknown>[]> {
  const events = await readAll(url, path);
  return events.filter(({ type }) => type === builtin(name)).map(({ payload }) => payload as Record<string, unknown>);
}

export const offsetsOf = (received: readonly { body: string }[]): number[] =>
  received.map(({ body }) => (JSON.parse(body) as StreamEvent).offset);

/** Why it waits, as soon as it does. */
export async function waitingOf(url: string, path: string, slug: string): Promise<ShownConsumer> {
  await expect.poll(async () => (await consumerOf(url, path, slug))?.lastError, patience).toBeDefined();
  return (await consumerOf(url, path, slug)) as ShownConsumer;
}
