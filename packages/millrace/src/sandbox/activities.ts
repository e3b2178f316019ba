/** What runs in one sandbox process, and what ran there before: asked when it has to be known who did something. */
import { type Activity, burnersAmong, nearestTo, type Pings, suspectsAmong } from "./activity.ts";

/** Without limits of its own, code may compute for so long without an answer. */
export const cpuMsDefault = 450;
/** Of whom the last is remembered; those are forgotten first that did nothing for longest. */
const lastMax = 1_000;

export class Activities {
  readonly #open = new Set<Activity>();
  /** What ran since memory was looked at last. */
  #ran = new Set<Activity>();
  readonly #last = new Map<string, Activity>();
  #begun = 0;

  /** Until what it returns is called. */
  begin(activity: Activity): () => void {
    this.#begun++;
    this.#open.add(activity);
    this.#ran.add(activity);
    this.#last.delete(activity.suspect);
    this.#last.set(activity.suspect, activity);
    if (this.#last.size > lastMax) this.#last.delete(this.#last.keys().next().value as string);
    return () => this.#open.delete(activity);
  }

  /** How many have begun. */
  get begun(): number {
    return this.#begun;
  }

  /** Somebody waits for what runs. */
  get areAwaited(): boolean {
    for (const { isLeft } of this.#open) if (isLeft !== true) return true;
    return false;
  }

  /** Something runs that began later. */
  hasSince(since: number): boolean {
    for (const { sentAt, isLeft } of this.#open) if (sentAt > since && isLeft !== true) return true;
    return false;
  }

  get cpuMsMax(): number {
    return Math.max(cpuMsDefault, ...[...this.#open].map(({ cpuMs }) => cpuMs));
  }

  /** The last of each. */
  get last(): Activity[] {
    return [...this.#last.values()];
  }

  /** What ran since this was asked for the last time. */
  takeRan(): Activity[] {
    const ran = [...this.#ran];
    this.#ran = new Set(this.#open);
    return ran;
  }

  hung(pings: Pings): { suspects: Activity[]; others: Activity[] } {
    return this.#against(suspectsAmong(this.#open, pings), this.#open);
  }

  burned(since: number): { suspects: Activity[]; others: Activity[] } {
    const others = [...this.#open, ...nearestTo(this.#last.values(), since)];
    return this.#against(burnersAmong(this.#open, this.#last.values(), since), others);
  }

  /** These, and of those that are open all others. */
  against(suspects: Activity[]): { suspects: Activity[]; others: Activity[] } {
    return this.#against(suspects, this.#open);
  }

  #against(suspects: Activity[], all: Iterable<Activity>): { suspects: Activity[]; others: Activity[] } {
    const others = [...new Set(all)].filter((activity) => !suspects.includes(activity));
    return { suspects, others };
  }
}
