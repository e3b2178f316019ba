/**
 * Runs a processor as a web service that is pushed to: a fetch handler for the deliveries of a webhook subscription. An
 * event is answered with 200 when the processor has acted on it and that is saved, so the server delivers until then.
 */
import type { StreamEvent } from "@millrace/protocol";
import { Webhook } from "standardwebhooks";
import { matchingOf } from "./matching.ts";
import { type NeedsOptions, needsOf } from "./needs.ts";
import { StreamRun } from "./stream-run.ts";

export interface WebhookHandlerOptions extends NeedsOptions {
  /** The stream, or a pattern of streams, whose deliveries it takes; any without it. */
  path?: string;
  /** As the first answer to `subscription/configured` showed it, or as it was stored. Without it nobody is believed. */
  signingSecret: string;
}

export interface WebhookHandler {
  (request: Request): Promise<Response>;
  /** Aborts what runs, and saves. */
  stop(): Promise<void>;
}

/** Streams that are kept in memory; who was not heard of for longest leaves, and is read again when it is. */
const streamsMax = 1_000;
/** Before the server gives up waiting, which is after 15 s. Until then another attempt may succeed. */
const patienceMs = 10_000;

export function createWebhookHandler(options: WebhookHandlerOptions): WebhookHandler {
  const { processor } = options;
  const verifier = new Webhook(options.signingSecret);
  const matching = options.path === undefined ? undefined : matchingOf(options.path, false);
  const ending = new AbortController();
  const closing = new AbortController();
  const runs = new Map<string, Promise<StreamRun>>();
  // A delivery that was not answered in time comes again, here or elsewhere: a repetition says nothing about others.
  const needs = needsOf(options, { signal: ending.signal, closing: closing.signal });

  /** The run of the stream's present life. */
  async function runOf({ streamPath: path, offset }: StreamEvent, streamId: string): Promise<StreamRun> {
    const known = await runs.get(path);
    if (known !== undefined && known.streamId === streamId && !known.halted) {
      // The last to be heard of is the last to leave.
      const kept = runs.get(path) as Promise<StreamRun>;
      runs.delete(path);
      runs.set(path, kept);
      return known;
    }
    await known?.stop("The stream was deleted.");
    const stream = {
      path,
      streamId,
      head: offset - 1,
      paused: false,
      startAfter: offset - 1,
      pushed: true,
      missedAll: false,
    };
    const beginning = needs.cursors.load(path).then((stored) => new StreamRun(needs, stream, stored));
    runs.set(path, beginning);
    void makeRoom();
    return beginning;
  }

  async function makeRoom(): Promise<void> {
    for (const [path, run] of runs) {
      if (runs.size <= streamsMax) return;
      const oldest = await run;
      if (!oldest.idle) continue;
      runs.delete(path);
      await oldest.stop("It was not heard of for long.");
    }
  }

  async function take({ event, streamId, after }: Delivered): Promise<Response> {
    const run = await runOf(event, streamId);
    run.hear(event, after);
    try {
      await run.taken(event.offset, patienceMs);
      return new Response(null, { status: 204 });
    } catch (error) {
      const message = `${processor.slug} at ${event.streamPath}@${event.offset}: ${(error as Error).message}`;
      return answer(500, message);
    }
  }

  async function handle(request: Request): Promise<Response> {
    if (request.method !== "POST") return answer(405, "Deliveries are POST requests of a webhook subscription.");
    const delivered = parseDelivery(await request.text(), request.headers, verifier);
    if (typeof delivered === "string") return answer(401, delivered);
    const { streamPath } = delivered.event;
    if (matching !== undefined && !matching.matches(streamPath)) {
      return answer(404, `${processor.slug} takes deliveries of ${options.path}, not of ${streamPath}.`);
    }
    return take(delivered);
  }

  return Object.assign(handle, {
    async stop() {
      ending.abort();
      for (const run of runs.values()) await (await run).stop("The processor was stopped.");
      closing.abort();
      await needs.cursors.close?.();
    },
  });
}

interface Delivered {
  event: StreamEvent;
  streamId: string;
  after: number;
}

/** What is wrong with it, in words, when it is not a delivery that can be believed. */
function parseDelivery(body: string, headers: Headers, verifier: Webhook): Delivered | string {
  let event: Partial<StreamEvent>;
  try {
    event = verifier.verify(body, Object.fromEntries(headers)) as Partial<StreamEvent>;
  } catch (error) {
    return `The signature does not hold: ${(error as Error).message}.`;
  }
  const [streamId = ""] = (headers.get("webhook-id") ?? "").split(".");
  const after = Number(headers.get("millrace-after") ?? Number.NaN);
  const isEvent =
    typeof event?.streamPath === "string" && Number.isSafeInteger(event.offset) && typeof event.type === "string";
  if (!isEvent || streamId === "" || !Number.isSafeInteger(after)) {
    return "This is signed and no event: a subscription that delivers to a processor has no jsonataTransform.";
  }
  return { event: event as StreamEvent, streamId, after };
}

/** Anything but 2xx is delivered again. 400, 413 and 422 would be parked, which is for events that are wrong. */
function answer(status: number, message: string): Response {
  return new Response(`${message}\n`, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}
