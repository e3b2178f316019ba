/** What an operator does at the end: receivers are well again, and what stands still is resumed. */
import type { StreamEvent } from "@millrace/protocol";
import { append } from "./actions.ts";
import type { PusherReference } from "./push-reference.ts";
import { builtin } from "./reference.ts";
import type { Server } from "./server.ts";
import type { Simulation } from "./simulation.ts";

/** Resumes what stands still. True when there was something. */
export function repair(simulation: Simulation, server: Server): boolean {
  let repaired = false;
  for (const { path, reference, events, birthOffset } of simulation.disk.streams.values()) {
    if (reference.paused) {
      append(simulation, server, path, [{ type: builtin("resumed") }]);
      repaired = true;
    }
    for (const [slug, { halted }] of reference.processors) {
      if (!halted || slug === "stuck" || slug === "deaf") continue;
      // What is poison stays poison.
      if (slug === "poisoned" && events.some(({ type, offset }) => type === "poison" && offset >= birthOffset))
        continue;
      append(simulation, server, path, [{ type: builtin("dynamic-worker/resumed"), payload: { slug } }]);
      repaired = true;
    }
    for (const pusher of reference.pushers.values()) {
      if (!pusher.halted || isPoisoned(pusher, events)) continue;
      append(simulation, server, path, [{ type: resumedType[pusher.kind], payload: { slug: pusher.slug } }]);
      repaired = true;
    }
  }
  return repaired;
}

const resumedType = {
  transformer: builtin("jsonata-transformer-resumed"),
  subscription: builtin("subscription/resumed"),
};

/** Its expression fails for what is in the log, and will again. */
function isPoisoned({ versions }: PusherReference, events: readonly StreamEvent[]): boolean {
  const newest = versions.at(-1);
  return (
    `${newest?.matcher}${newest?.jsonataFilter}`.includes("$error") && events.some(({ type }) => type === "poison")
  );
}

/** Nobody is in the way of anything any more. */
export function heal({ network, say }: Simulation): void {
  say("all receivers are healthy");
  network.moods.clear();
}
