/** Compares what the engine says of a stream with what a fresh fold of the disk says. */
import { project } from "./disk.ts";
import { nextTime } from "./reference.ts";
import { isExpected, type Server } from "./server.ts";
import type { Simulation } from "./simulation.ts";

/** What the engine says of a stream is what a fresh fold says. */
export async function judgeState(simulation: Simulation, server: Server, path: string): Promise<void> {
  simulation.say(`${server.name} is asked for the state of ${path}`);
  try {
    const state = await server.engine.state(project, path);
    const stream = simulation.disk.streams.get(path);
    // It may be behind where another server wrote.
    if (stream === undefined || state.streamId !== stream.streamId || state.head !== stream.head) return;
    const { reference } = stream;
    if (state.paused !== reference.paused) simulation.wrong(`${path} says paused ${state.paused}`);
    const said = Object.entries(state.schedules ?? {}).map(([slug, { offset, ticks }]) => `${slug} ${offset} ${ticks}`);
    const folded = [...reference.schedules].map(([slug, { offset, ticks }]) => `${slug} ${offset} ${ticks}`);
    if (said.sort().join() !== folded.sort().join()) simulation.wrong(`${path} says ${said}, and is ${folded}`);
    const pushers = Object.entries(state.consumers).filter(([, { kind }]) => /^(transformer|subscription)$/.test(kind));
    const there = pushers.map(([slug, { kind, halted }]) => `${kind}/${slug} ${halted !== undefined}`);
    const wanted = [...reference.pushers].map(([key, { halted }]) => `${key} ${halted}`);
    if (there.sort().join() !== wanted.sort().join())
      simulation.wrong(`${path} has ${there}, and should have ${wanted}`);
    for (const [slug, { nextAt }] of Object.entries(state.schedules ?? {})) {
      const entry = reference.schedules.get(slug);
      const due = entry === undefined ? null : nextTime(entry, server.clock.now());
      if (nextAt !== undefined && Date.parse(nextAt) !== due) simulation.wrong(`${path} says ${slug} comes ${nextAt}`);
    }
  } catch (error) {
    if (!isExpected(error)) simulation.wrong(`the state of ${path} failed: ${(error as Error).stack}`);
  }
}
