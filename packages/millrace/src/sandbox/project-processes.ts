/**
 * The processes of one project, and what is loaded into them: started when something is to run, given up when nothing
 * did for a while. Whatever is here can be made again, so it is bounded, and those go first that were not used longest.
 */
import type { SandboxDescription } from "@millrace/engine";
import { Isolate, type RunningCall, type Tenant } from "./isolate.ts";
import type { LoadMessage } from "./messages.ts";
import type { ProcessEnd, WorkerdProcess } from "./workerd-process.ts";

export interface LoadedIsolate {
  isolate: Isolate;
  description: SandboxDescription;
}

export interface ProjectNeeds {
  start(project: ProjectProcesses): Promise<WorkerdProcess>;
  /** A process ended that was shared. */
  ended(end: ProcessEnd): void;
  nextId(): number;
  isolatesMax: number;
}

interface Process {
  process: WorkerdProcess;
  loads: number;
  isolates: number;
}

/** Each load leaves some kilobytes behind that nothing gives back. */
const loadsMax = 2_000;
const idleMs = 60_000;

export class ProjectProcesses {
  readonly #needs: ProjectNeeds;
  readonly #isolates = new Map<string, Promise<LoadedIsolate>>();
  readonly #opened = new Map<string, Isolate>();
  #processes: Process[] = [];
  #starting: Promise<Process> | undefined;
  usedAt: number = performance.now();

  constructor(needs: ProjectNeeds) {
    this.#needs = needs;
  }

  /** There will be something to load: where no process is there, one starts. */
  prepare(): void {
    this.usedAt = performance.now();
    if (this.#processes.length > 0 || this.#starting !== undefined) return;
    // Whoever loads something into it hears why it did not start.
    this.#start().catch(() => {});
  }

  /** The isolate of this identity, loaded if it is not. Rejects with SandboxError. */
  isolate(identity: string, load: LoadMessage, tenant: Tenant): Promise<LoadedIsolate> {
    this.usedAt = performance.now();
    const known = this.#isolates.get(identity);
    if (known !== undefined) return known;
    const opening = this.#open(identity, load, tenant);
    this.#isolates.set(identity, opening);
    opening.catch(() => this.#forget(identity, opening));
    return opening;
  }

  /** The isolate of this identity, where there is one. */
  peek(identity: string): Promise<LoadedIsolate> | undefined {
    return this.#isolates.get(identity);
  }

  /** For whom a request is made that names this delivery. */
  callOf(id: number): RunningCall | undefined {
    for (const isolate of this.#opened.values()) {
      const call = isolate.callOf(id);
      if (call !== undefined) return call;
    }
    return undefined;
  }

  /** Ends what was not used for a while. True when nothing is left. */
  sweep(now: number): boolean {
    for (const [identity, isolate] of this.#opened) {
      if (!isolate.isBusy && now - isolate.usedAt > idleMs) this.#close(identity, isolate);
    }
    for (const { process, isolates } of this.#processes) {
      if (isolates === 0 && process.activities.size === 0 && now - this.usedAt > idleMs) void process.stop();
    }
    return this.#processes.length === 0 && this.#starting === undefined;
  }

  async stop(): Promise<void> {
    await this.#starting?.catch(() => {});
    await Promise.all(this.#processes.map(({ process }) => process.stop()));
  }

  get processes(): readonly WorkerdProcess[] {
    return this.#processes.map(({ process }) => process);
  }

  async #open(identity: string, load: LoadMessage, tenant: Tenant): Promise<LoadedIsolate> {
    const place = await this.#place();
    place.loads++;
    place.isolates++;
    const { process } = place;
    try {
      const loaded = await Isolate.open({ process, load, nextId: this.#needs.nextId }, tenant);
      this.#opened.set(identity, loaded.isolate);
      void loaded.isolate.ended.then(() => {
        place.isolates--;
        if (this.#opened.get(identity) === loaded.isolate) this.#opened.delete(identity);
        this.#isolates.delete(identity);
      });
      return loaded;
    } catch (error) {
      place.isolates--;
      throw error;
    }
  }

  /** Where one more is loaded: there is room, or it is made, or there is another process. */
  async #place(): Promise<Process> {
    if (this.#starting !== undefined) return this.#starting;
    const open = this.#processes.filter(({ process, loads }) => !process.hasEnded && loads < loadsMax);
    const { isolatesMax } = this.#needs;
    if (!open.some(({ isolates }) => isolates < isolatesMax)) this.#makeRoom();
    const place = open.find(({ isolates }) => isolates < isolatesMax);
    return place ?? this.#start();
  }

  #makeRoom(): void {
    const idle = [...this.#opened].filter(([, isolate]) => !isolate.isBusy);
    const [oldest] = idle.sort(([, a], [, b]) => a.usedAt - b.usedAt);
    if (oldest !== undefined) this.#close(...oldest);
  }

  #close(identity: string, isolate: Isolate): void {
    this.#opened.delete(identity);
    this.#isolates.delete(identity);
    isolate.close();
  }

  #forget(identity: string, opening: Promise<LoadedIsolate>): void {
    if (this.#isolates.get(identity) === opening) this.#isolates.delete(identity);
  }

  async #start(): Promise<Process> {
    const starting = this.#needs.start(this).then((process): Process => {
      const started = { process, loads: 0, isolates: 0 };
      this.#processes.push(started);
      void process.ended.then((end) => {
        this.#processes = this.#processes.filter((each) => each !== started);
        this.#needs.ended(end);
      });
      return started;
    });
    this.#starting = starting;
    try {
      return await starting;
    } finally {
      this.#starting = undefined;
    }
  }
}
