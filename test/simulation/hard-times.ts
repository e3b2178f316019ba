/** Two things that only show over hours: a pause, and receivers that refuse everything. */
import { append, event } from "./actions.ts";
import { owed } from "./invariants.ts";
import { receivers } from "./network.ts";
import { builtin } from "./reference.ts";
import { heal } from "./repair.ts";
import type { Server } from "./server.ts";
import type { Simulation } from "./simulation.ts";
import { hour, run, second } from "./time.ts";

/** While a stream is paused its subscriptions bring everything there; its transformers do nothing, or a fold would say. */
export async function pausedHours(simulation: Simulation, server: Server): Promise<void> {
  const { streams } = simulation.disk;
  for (const path of streams.keys()) {
    if (simulation.random.integer(2) === 0) continue;
    append(simulation, server, path, [event(simulation, "ping"), { type: builtin("paused") }]);
  }
  await run(simulation, 3 * hour);
  const isPaused = (path: string | undefined) => path !== undefined && streams.get(path)?.reference.paused === true;
  for (const stream of streams.values()) {
    const { path, reference } = stream;
    if (!reference.paused) continue;
    for (const { slug, what } of owed(stream)) {
      if (!isPaused(reference.pushers.get(slug)?.versions.at(-1)?.path)) simulation.wrong(`paused, ${path}: ${what}`);
    }
  }
}

/** Two subscriptions of one stream that hear all that is said of the other. */
async function listenToEachOther(simulation: Simulation, server: Server): Promise<void> {
  const path = simulation.random.pick([...simulation.disk.streams.keys()]);
  for (const [i, slug] of ["hook", "audit"].entries()) {
    const callbackUrl = `${receivers[i]}/?version=${++simulation.counter}`;
    const payload = { slug, type: "webhook", callbackUrl, startFrom: "end" };
    append(simulation, server, path, [{ type: builtin("subscription/configured"), payload }]);
  }
  await run(simulation, second);
}

/** What receivers refuse is said once, and what was said leads to nothing more: the log stops growing. */
export async function sickDays(simulation: Simulation, server: Server): Promise<void> {
  const { disk, network, random, say } = simulation;
  for (const receiver of receivers) {
    const mood = random.pick([
      "sick",
      "busy",
      "moved",
      "refusing",
      "refusing",
      "silent",
      "closing",
      "refused",
      "hesitant",
      "hesitant",
    ] as const);
    say(`${receiver} is ${mood} from now on`);
    network.moods.set(receiver, mood);
  }
  await listenToEachOther(simulation, server);
  for (const path of disk.streams.keys()) append(simulation, server, path, [event(simulation, "ping")]);
  const commitsMost = disk.commits + 3_000;
  for (let hours = 0; hours < 48; hours++) {
    await run(simulation, hour);
    if (disk.commits > commitsMost) simulation.wrong("what failed leads to more and more");
  }
  const { commits } = disk;
  await run(simulation, 24 * hour);
  if (disk.commits !== commits) simulation.wrong("nobody acts, and what failed still leads to more");
  heal(simulation);
}
