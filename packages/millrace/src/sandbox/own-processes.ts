/**
 * Code that says how much memory it may have runs in a process of its own, whose memory is then its memory. Streams with
 * the same code share it. Such processes are few: the one that was idle for longest makes room for another.
 */
import { SandboxError } from "@millrace/engine";
import type { ProcessEnd } from "./activity.ts";
import type { ProjectProcesses } from "./project-processes.ts";
import type { Suspects } from "./suspects.ts";
import type { WorkerdProcess } from "./workerd-process.ts";

export interface OwnNeeds {
  make(memoryMb: number): ProjectProcesses;
  ownMax: number;
}

export class OwnProcesses {
  readonly #needs: OwnNeeds;
  readonly #byIdentity = new Map<string, ProjectProcesses>();
  readonly #stopping = new Set<Promise<void>>();

  constructor(needs: OwnNeeds) {
    this.#needs = needs;
  }

  /** @throws SandboxError "unavailable" when there is no room */
  of(identity: string, memoryMb: number): ProjectProcesses {
    const known = this.#byIdentity.get(identity);
    if (known !== undefined) return known;
    if (this.#byIdentity.size >= this.#needs.ownMax) this.#makeRoom();
    const made = this.#needs.make(memoryMb);
    this.#byIdentity.set(identity, made);
    return made;
  }

  peek(identity: string): ProjectProcesses | undefined {
    return this.#byIdentity.get(identity);
  }

  get processes(): WorkerdProcess[] {
    return [...this.#byIdentity.values()].flatMap(({ processes }) => processes);
  }

  sweep(now: number): void {
    for (const [identity, own] of this.#byIdentity) if (own.sweep(now)) this.#byIdentity.delete(identity);
  }

  async stop(): Promise<void> {
    for (const identity of [...this.#byIdentity.keys()]) this.#stop(identity);
    await Promise.all(this.#stopping);
  }

  #makeRoom(): void {
    const idle = [...this.#byIdentity].filter(([, own]) => !own.isBusy);
    const [oldest] = idle.sort(([, one], [, other]) => one.usedAt - other.usedAt);
    if (oldest === undefined) throw new SandboxError("unavailable", this.#noRoom());
    this.#stop(oldest[0]);
  }

  #noRoom(): string {
    return `${this.#needs.ownMax} processors of this project have a process of their own (limits.memoryMb), and all of them are busy. It is tried again.`;
  }

  #stop(identity: string): void {
    const stopping =
      this.#byIdentity
        .get(identity)
        ?.stop()
        .catch(() => {}) ?? Promise.resolve();
    this.#byIdentity.delete(identity);
    this.#stopping.add(stopping);
    void stopping.then(() => this.#stopping.delete(stopping));
  }
}

/** Where one stream alone ever ran in it, it is known who did it; else those are suspected who ran. */
export function blame(suspects: Suspects, end: ProcessEnd): void {
  const { death, why, last } = end;
  const streams = last.filter(({ deed }) => deed.what !== "load");
  const [one, ...more] = streams.length > 0 ? streams : last;
  const isOutside = death === "crash" && end.suspects.length + end.others.length === 0;
  if (death === "stopped" || isOutside) return;
  if (one === undefined || more.length > 0) suspects.add(end);
  else suspects.endedAlone(one.suspect, death, one.deed, why);
}
