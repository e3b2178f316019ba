/** The next range of a stream, as the processor of a consumer is given it. */
import type { Delivered } from "../driver.ts";
import type { StreamEvent } from "../event.ts";
import type { Admitted } from "./admit.ts";
import type { Consumer } from "./consumer.ts";
import { isAbout } from "./facts.ts";
import { messageOf } from "./hook-run.ts";

export interface Scanned {
  events: Delivered[];
  through: number;
}

/** The event that comes next cannot be given to the processor, whose own fault that is. */
export interface Unscannable {
  offset: number;
  fault: string;
}

export async function scan(consumer: Consumer, after: number, last: number): Promise<Scanned | Unscannable> {
  const { house, kind, spec } = consumer;
  const page = await house.read(after, last, { types: spec.types, shared: kind.stateless === true });
  const events: Delivered[] = [];
  for (const event of page.events) {
    const { offset } = event;
    const admitted = await admittedOf(consumer, event);
    if (admitted === undefined) continue;
    // What stands before it is done first.
    if ("error" in admitted) {
      if (offset - 1 > after) return { events, through: offset - 1 };
      return { offset, fault: messageOf(admitted.error) };
    }
    if ("event" in admitted) events.push({ event: admitted.event, act: !isAbout(event, kind, spec.slug) });
    // What its schema refuses is told, and passed over.
    else if (offset > consumer.driver.progress.cursor) await consumer.tell(offset, admitted.fault);
  }
  return { events, through: page.through };
}

async function admittedOf({ folded }: Consumer, event: StreamEvent): Promise<Admitted | { error: unknown }> {
  try {
    return folded?.admit === undefined ? { event } : await folded.admit(event);
  } catch (error) {
    return { error };
  }
}
