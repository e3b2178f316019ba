/** The next range of a stream, as the processor of a consumer is given it. */
import type { Delivered } from "../driver.ts";
import type { StreamEvent } from "../event.ts";
import type { Consumer } from "./consumer.ts";
import { isAbout } from "./facts.ts";

export interface Scanned {
  events: Delivered[];
  through: number;
}

export async function scan(consumer: Consumer, after: number, last: number): Promise<Scanned> {
  const { house, kind, spec } = consumer;
  const page = await house.read(after, last, { types: spec.types, shared: kind.stateless === true });
  const events: Delivered[] = [];
  for (const event of page.events) {
    const admitted = await admittedOf(consumer, event);
    if (admitted !== undefined) events.push({ event: admitted, act: !isAbout(event, kind, spec.slug) });
  }
  return { events, through: page.through };
}

/** What its schema refuses is told, and passed over. */
async function admittedOf(consumer: Consumer, event: StreamEvent): Promise<StreamEvent | undefined> {
  if (consumer.folded?.admit === undefined) return event;
  const admitted = await consumer.folded.admit(event);
  if (admitted === undefined || "event" in admitted) return admitted?.event;
  if (event.offset > consumer.driver.progress.cursor) await consumer.tell(event.offset, admitted.fault);
  return undefined;
}
