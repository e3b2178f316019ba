/** What runs in a sandbox process, and what is known of it when that process ends. */

/** Something of an isolate that runs: a load, or a delivery. */
export interface Activity {
  /** Whose code it is. */
  readonly suspect: string;
  readonly deed: Deed;
  readonly sentAt: number;
  /** Questions to the host that are not answered: as long as there is one, it waits. */
  questions: number;
  /** CPU time that it may take without an answer. */
  readonly cpuMs: number;
  /** Nobody waits for it any more, and its end was not told: it may run for ever. */
  isLeft?: boolean;
}

/** What somebody was doing: so that it is known when the same has been done again. */
export interface Deed {
  what: "load" | "fold" | "call";
  /** Up to which event. */
  through: number;
}

/** "cpu" is without giving way, "burning" for a long time although it does. */
export type Death = "cpu" | "burning" | "memory" | "crash" | "stopped";

export interface ProcessEnd {
  death: Death;
  /** What ran and may have done it, the likeliest first; and what was there and seemed to wait. */
  suspects: readonly Activity[];
  others: readonly Activity[];
  /** The last that each did who was ever in it. */
  last: readonly Activity[];
  /** What was too much, where more is known than by the kind of death. */
  why?: string;
  /** The last that it said. */
  said: string;
}

/** A ping that was sent a moment after something: the order of the two in the process is not known. */
const orderMs = 5;

export interface Pings {
  /** The one that was not answered. Infinity where all were. */
  unansweredAt: number;
  answeredAt: number;
}

/**
 * What was sent after an unanswered ping never ran, and whoever waits for an answer does not run. What was sent last
 * before the silence, and behind the last ping that was answered, is the likeliest; and of that the earliest, since the
 * others came behind it.
 */
export function suspectsAmong(activities: Iterable<Activity>, { unansweredAt, answeredAt }: Pings): Activity[] {
  const ran = [...activities].filter(({ sentAt }) => sentAt <= unansweredAt + orderMs);
  const running = ran.filter(({ questions }) => questions === 0);
  const isOld = ({ sentAt }: Activity) => (sentAt < answeredAt - orderMs ? 1 : 0);
  const suspects = running.length > 0 ? running : ran;
  return suspects.sort((a, b) => isOld(a) - isOld(b) || a.sentAt - b.sentAt);
}

/** Of those of whom nothing is known but that they ran: that many. */
const leftBehindMax = 8;

/**
 * Who may have kept a process busy since then. What ran for all that time, and what was left behind while it ran, come
 * before what only runs now. Where nothing does, somebody left something behind that nobody knows of: likelier one who
 * ran when it began than one who ran long before or since.
 */
export function burnersAmong(open: Iterable<Activity>, last: Iterable<Activity>, since: number): Activity[] {
  const running = [...open].filter(({ deed }) => deed.what !== "load");
  const all = running.filter(({ sentAt, isLeft }) => isLeft === true || sentAt <= since);
  const order = (one: Activity, other: Activity) =>
    Number(other.isLeft ?? false) - Number(one.isLeft ?? false) || one.sentAt - other.sentAt;
  if (all.length > 0) return all.sort(order);
  return running.length > 0 ? running.sort(order) : nearestTo(last, since);
}

export function nearestTo(last: Iterable<Activity>, since: number): Activity[] {
  const distance = ({ sentAt }: Activity) => Math.abs(sentAt - since);
  return [...last]
    .filter(({ deed }) => deed.what !== "load")
    .sort((one, other) => distance(one) - distance(other))
    .slice(0, leftBehindMax);
}
