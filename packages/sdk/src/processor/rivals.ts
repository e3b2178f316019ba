/** Another run with the same slug acts on the same stream: what they append stands once, but both are told. */
import type { Logger } from "@millrace/protocol";
import type { EventsClient } from "../client.ts";

export interface RivalNeeds {
  client: EventsClient;
  slug: string;
  logger: Logger;
  signal: AbortSignal;
  streamIdOf(path: string): string | undefined;
  onFailure(error: unknown): void;
}

/** To be called when somebody else appended what was about to be appended for this event. Tells it once for a stream. */
export function createRivalWatch(needs: RivalNeeds): (path: string, offset: number) => void {
  const { client, slug, logger, signal, streamIdOf, onFailure } = needs;
  const told = new Set<string>();
  return (path, offset) => {
    if (told.has(path)) return;
    told.add(path);
    const message = `Another ${slug} runs on ${path}: what it appends stands once, but both act. Stop one of them.`;
    logger.warn(message);
    const about = { kind: "processor", slug, offset };
    const event = { type: "https://events.iterate.com/events/stream/error-occurred", payload: { message, about } };
    client.append(path, event, { idempotencyKey: `${slug}/rival/${streamIdOf(path)}`, signal }).catch((error) => {
      if (!signal.aborted && error?.code !== "idempotency_conflict") onFailure(error);
    });
  };
}
