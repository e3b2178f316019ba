/**
 * What processors say by `logger` and `console`: each line goes to the host's log and into the ring of its project, as
 * far as the allowances go. What is said beyond them is counted, and one line says how much it was.
 */
import { listen } from "../listen.ts";
import type { Clock, Random } from "../ports/clock.ts";
import { ofSpeaker } from "./allowance.ts";
import { boundedDetails, boundedMessage } from "./bounded.ts";
import { readSaid, type SaidItem, type SaidRequest } from "./read-said.ts";
import { createRings } from "./ring.ts";
import type { Level, Said, SaidLogger, Speaking } from "./said.ts";
import { Speakers } from "./speakers.ts";

export interface Sayings {
  loggerOf(speaking: Speaking): SaidLogger;
  read(project: string, request: SaidRequest, signal: AbortSignal): AsyncGenerator<SaidItem>;
  /** Tells what was left out and is not told yet. */
  close(): void;
}

export interface SayingsNeeds {
  clock: Clock;
  random: Random;
  /** The host's log. */
  onSaid(said: Said): void;
  onFailure(error: unknown): void;
}

export function createSayings({ clock, random, onSaid, onFailure }: SayingsNeeds): Sayings {
  const rings = createRings(() => random.id());
  const speakers = new Speakers(clock, tellLeftOut);
  /** Who reads live, by project. */
  const readers = new Map<string, Set<() => void>>();

  function publish(speaking: Speaking, level: Level, what: Pick<Said, "message" | "details" | "leftOut">): void {
    const said: Said = { at: new Date(clock.now()).toISOString(), level, ...speaking, ...what };
    rings.add(said);
    for (const wake of readers.get(speaking.project) ?? []) wake();
    try {
      onSaid(said);
    } catch (error) {
      onFailure(error);
    }
  }

  function say(speaking: Speaking, level: Level, message: unknown, given: unknown): void {
    if (!speakers.hears(speaking)) return;
    const details = boundedDetails(given);
    publish(speaking, level, { message: boundedMessage(message), ...(details === undefined ? {} : { details }) });
  }

  function tellLeftOut(speaking: Speaking, lines: number): void {
    const { atOnce, perSecond } = ofSpeaker;
    const what = lines === 1 ? "1 line was" : `${lines} lines were`;
    const message = `${what} left out: a processor may say ${atOnce} at once and ${perSecond} a second.`;
    publish(speaking, "warn", { message, leftOut: lines });
  }

  return {
    loggerOf(speaking) {
      const log = (level: Level) => (message: string, details?: unknown) => say(speaking, level, message, details);
      return {
        ...{ debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
        leftOut: (lines) => speakers.leaveOut(speaking, lines),
      };
    },
    read(project, request, signal) {
      const source = {
        ring: () => rings.of(project),
        clock,
        onSaid: (wake: () => void) => listen(readers, project, wake),
      };
      return readSaid(source, request, signal);
    },
    close: () => speakers.close(),
  };
}
