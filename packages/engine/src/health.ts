/**
 * What keeps the server from doing its work, in words that anybody may read: health is asked for without a token, so
 * messages of the log are told without the paths that stand in them.
 */
import type { Meter } from "./meter.ts";
import type { Clock } from "./ports/clock.ts";
import type { Directory } from "./ports/log.ts";

export interface Trouble {
  what: "stopping" | "commit" | "read";
  /** ISO 8601; where it is known. */
  since?: string;
  message: string;
}

/**
 * After this long without another failed commit, commits are tried again: a server that is taken out of service by
 * its last failure would never get the append that shows it is well.
 */
const forgiveMs = 30_000;
const patienceMs = 5_000;
const messageCharactersMax = 200;

export interface HealthHouse {
  meter: Meter;
  clock: Clock;
  directory: Pick<Directory, "projects">;
  stopping: boolean;
}

/** Empty when all is well. */
export async function troublesOf({ meter, clock, directory, stopping }: HealthHouse): Promise<Trouble[]> {
  if (stopping) return [{ what: "stopping", message: "The server is stopping." }];
  const troubles: Trouble[] = [];
  const { failing } = meter;
  if (failing !== undefined && clock.now() - failing.lastAt < forgiveMs) {
    const message = `The log cannot commit: ${discreet(failing.message)}`;
    troubles.push({ what: "commit", since: new Date(failing.since).toISOString(), message });
  }
  try {
    await inTime(directory.projects({ limit: 1 }), clock);
  } catch (error) {
    const message = discreet(error instanceof Error ? error.message : String(error));
    troubles.push({ what: "read", message: `The log cannot be read: ${message}` });
  }
  return troubles;
}

/** One line, without anything that looks like a path of a file or of a stream. */
function discreet(message: string): string {
  return message
    .replaceAll(/\s+/g, " ")
    .replaceAll(/\S*[\\/]\S*/g, (word) => (word === "I/O" ? word : "<path>"))
    .slice(0, messageCharactersMax);
}

async function inTime(answer: Promise<unknown>, clock: Clock): Promise<void> {
  let cancel = () => {};
  const late = new Promise<never>((_, reject) => {
    cancel = clock.setTimer(patienceMs, () => reject(new Error(`no answer within ${patienceMs / 1_000} s`)));
  });
  try {
    await Promise.race([answer, late]);
  } finally {
    cancel();
    // Whichever of the two comes later is news to nobody.
    answer.catch(() => {});
  }
}
