/** Cron patterns: one place that knows which of them are accepted, so that what was accepted can also be run. */
import { Cron } from "croner";

/**
 * The times of a cron pattern: five fields, six with seconds first, or a nickname such as `@daily`. Starts no timer.
 * @param timezone an IANA name; without one, UTC, so that a schedule never depends on where the server stands
 * @throws Error with a message for people
 */
export function compileCron(pattern: string, timezone = "UTC"): Cron {
  // croner takes a date, too, and knows one by its colon.
  if (pattern.includes(":")) throw new Error("expected a cron pattern, got a date; use a schedule of kind once-at");
  try {
    return new Cron(pattern, { paused: true, mode: "5-or-6-parts", timezone });
  } catch (error) {
    throw new Error(`expected a cron pattern: ${(error as Error).message.replace(/^CronPattern: /, "")}`);
  }
}

/** Why a pattern cannot be scheduled, or undefined if it can. */
export function cronFault(pattern: string): string | undefined {
  try {
    // Any date will do: five or six fields repeat, so a pattern that never comes after one date never comes.
    if (compileCron(pattern).nextRun(new Date(0)) === null) return "expected a cron pattern that matches some time";
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

export function timezoneFault(timezone: string): string | undefined {
  try {
    new Intl.DateTimeFormat("en", { timeZone: timezone });
    return undefined;
  } catch {
    return "expected an IANA time zone, such as Europe/Berlin";
  }
}
