/** All that runs of one project: what is shared, what has a process of its own, and who is suspected and runs alone. */
import type { ProcessEnd } from "./activity.ts";
import type { BurningLimits } from "./burning.ts";
import { blame, OwnProcesses } from "./own-processes.ts";
import { ProjectProcesses } from "./project-processes.ts";
import { Quarantine, type Room } from "./quarantine.ts";
import { createSuspects, type Suspects } from "./suspects.ts";
import type { WorkerdProcess } from "./workerd-process.ts";

export interface HouseNeeds {
  start(attribution: Pick<Room, "callOf">, memoryMb?: number): Promise<WorkerdProcess>;
  /** One of the project's processes ended that is no suspect's. */
  ended(end: ProcessEnd): void;
  nextId(): number;
  burning: BurningLimits;
  isolatesMax: number;
  loadsMax: number;
  ownMax: number;
  /** How many more processes the project may have. */
  placesLeft(): number;
}

export class ProjectHouse {
  readonly suspects: Suspects;
  readonly quarantine: Quarantine;
  /** Who heard of a conviction. */
  readonly told: Set<string> = new Set();
  readonly #shared: ProjectProcesses;
  readonly #own: OwnProcesses;

  constructor({ start, ended, burning, isolatesMax, ownMax, placesLeft, ...needs }: HouseNeeds) {
    // A little behind the moment at which one that burns would be ended.
    const suspects = createSuspects(burning.windowMs + 2 * burning.holdMs + 2 * burning.lookEveryMs);
    this.suspects = suspects;
    this.#shared = new ProjectProcesses({
      ...{ ...needs, isolatesMax, start },
      ended(end) {
        suspects.add(end);
        ended(end);
      },
    });
    const make = (memoryMb: number) =>
      new ProjectProcesses({
        ...{ ...needs, isolatesMax: 1 },
        start: (attribution) => start(attribution, memoryMb),
        ended(end) {
          blame(suspects, end);
          ended(end);
        },
      });
    this.#own = new OwnProcesses({ make, ownMax });
    this.quarantine = new Quarantine({ ...needs, start, suspects, placesLeft });
  }

  /** There will be something to load. What has a process of its own is rare enough to wait for it. */
  prepare(memoryMb: number | undefined): void {
    if (memoryMb === undefined) this.#shared.prepare();
  }

  /** Where this code runs. @throws SandboxError "unavailable" when there is no room */
  of(identity: string, memoryMb: number | undefined): ProjectProcesses {
    return memoryMb === undefined ? this.#shared : this.#own.of(identity, memoryMb);
  }

  /** The same, where it is there. */
  peek(identity: string, memoryMb: number | undefined): ProjectProcesses | undefined {
    return memoryMb === undefined ? this.#shared : this.#own.peek(identity);
  }

  get processes(): WorkerdProcess[] {
    return [this.#shared, this.#own, this.quarantine].flatMap(({ processes }) => processes);
  }

  /** Ends what was not used for a while. */
  sweep(now: number): void {
    this.#shared.sweep(now);
    this.#own.sweep(now);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#shared, this.#own, this.quarantine].map((each) => each.stop()));
  }
}
