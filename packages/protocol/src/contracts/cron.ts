/** Cron patterns: one place that knows which of them are accepted, so that what was accepted can also be run. */
import { Cron } from "croner";

const charactersMax = 255;

/**
 * Where the search for a first match begins. Patterns of five or six fields repeat, so any date would do; but croner
 * searches up to the year 3000, and a pattern that never comes should not hold up the append path for all that time.
 * Sixty years are enough for the rarest, a 29 February on a given weekday.
 */
const searchFrom = new Date("2940-01-01T00:00:00Z");

/**
 * The times of a cron pattern: five fields, six with seconds first, or a nickname such as `@daily`. Starts no timer.
 * @param timezone an IANA name; without one, UTC, so that a schedule never depends on where the server stands
 * @throws Error with a message for people
 */
export function compileCron(pattern: string, timezone = "UTC"): Cron {
  if (pattern.length > charactersMax) throw new Error(`expected a cron pattern of at most ${charactersMax} characters`);
  // croner takes a date, too, and knows one by its colon.
  if (pattern.includes(":")) throw new Error("expected a cron pattern, got a date; use a schedule of kind once-at");
  const fields = pattern.match(/\S+/g)?.length ?? 0;
  // croner refuses it as well, but in words about patterns with a year, which it does not take here.
  if (!pattern.trim().startsWith("@") && fields !== 5 && fields !== 6) {
    throw new Error(`expected a cron pattern: five fields, or six with seconds first; got ${fields}`);
  }
  try {
    return new Cron(pattern, { paused: true, mode: "5-or-6-parts", timezone });
  } catch (error) {
    throw new Error(`expected a cron pattern: ${(error as Error).message.replace(/^CronPattern: /, "")}`);
  }
}

/** Why a pattern cannot be scheduled, or undefined if it can. */
export function cronFault(pattern: string): string | undefined {
  try {
    if (compileCron(pattern).nextRun(searchFrom) === null) return "expected a cron pattern that matches some time";
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
