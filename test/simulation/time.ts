/** Time at the end of a run: everything happens at once that can. */
import type { Simulation } from "./simulation.ts";

export const second = 1_000;
export const hour: number = 3_600 * second;

/** Lets time pass, timer by timer, with everything done at once that can be. */
export async function run(simulation: Simulation, milliseconds: number): Promise<void> {
  const until = simulation.now + milliseconds;
  await quiet(simulation);
  while (simulation.now < until) {
    const timers = simulation.servers.map(({ clock }) => clock.nextTimerInMs() ?? milliseconds);
    timers.push(...simulation.network.packets.map(({ notBefore }) => notBefore - simulation.now));
    const next = Math.max(Math.ceil(Math.min(...timers, until - simulation.now)), 1);
    simulation.pass(next);
    await quiet(simulation);
  }
}

/** Everything that needs no time. */
export async function quiet(simulation: Simulation): Promise<void> {
  await simulation.settle();
  for (let turns = 0; turns < 100_000; turns++) {
    const operation = simulation.servers.flatMap(({ operations }) => operations)[0];
    const gate = simulation.servers.flatMap(({ gates }) => gates)[0];
    const packet = simulation.arriving()[0];
    if (operation !== undefined) await simulation.happen(operation);
    else if (gate !== undefined) simulation.open(gate, false);
    else if (packet !== undefined) simulation.arrive(packet, false);
    else return;
    await simulation.settle();
  }
  throw new Error("it never comes to rest");
}
