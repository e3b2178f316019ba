/**
 * The processes of one project, and what is loaded into them: started when something is to run, given up when nothing
 * did for a while. Whatever is here can be made again, so it is bounded, and those go first that were not used longest.
 */
import { type SandboxDescription, SandboxError } from "@millrace/engine";
import type { ProcessEnd } from "./activity.ts";
import type { RunningCall } from "./delivery.ts";
import { Isolate, type Tenant } from "./isolate.ts";
import type { LoadMessage } from "./messages.ts";
import type { WorkerdProcess } from "./workerd-process.ts";

export interface LoadedIsolate {
  isolate: Isolate;
  description: SandboxDescription;
}

export interface ProjectNeeds {
  start(project: Pick<ProjectProcesses, "callOf">): Promise<WorkerdProcess>;
  /** A process ended. */
  ended(end: ProcessEnd): void;
  nextId(): number;
  isolatesMax: number;
  /** Each load leaves some kilobytes behind that nothing gives back: after so many another process goes on. */
  loadsMax: number;
}

interface Process {
  process: WorkerdProcess;
  loads: number;
  isolates: number;
}

interface Opened {
  isolate: Isolate;
  place: Process;
  /** Gives its place back, once. */
  release(): void;
}

const idleMs = 60_000;
/** What was used this moment is about to be used: it makes no room for others. */
const hotMs = 100;
/**
 * A process has one thread, so more at once are no faster. But each that loads has a place that nobody else can be given,
 * and many would have processes started for them that are idle a moment later.
 */
const loadingMax = 8;

export class ProjectProcesses {
  readonly #needs: ProjectNeeds;
  readonly #isolates = new Map<string, Promise<LoadedIsolate>>();
  readonly #opened = new Map<string, Opened>();
  #processes: Process[] = [];
  #starting: Promise<Process> | undefined;
  #stopped = false;
  #loading = 0;
  /** Those that wait to be loaded. */
  readonly #turns: (() => void)[] = [];
  #usedAt: number = performance.now();

  constructor(needs: ProjectNeeds) {
    this.#needs = needs;
  }

  /** There will be something to load: where no process is there, one starts. */
  prepare(): void {
    this.#usedAt = performance.now();
    const isThere = this.#processes.some(({ process }) => !process.isOver);
    if (isThere || this.#starting !== undefined || this.#stopped) return;
    // Whoever loads something into it hears why it did not start.
    this.#start().catch(() => {});
  }

  /** The isolate of this identity, loaded if it is not. Rejects with SandboxError. */
  isolate(identity: string, load: LoadMessage, tenant: Tenant): Promise<LoadedIsolate> {
    this.#usedAt = performance.now();
    const known = this.#isolates.get(identity);
    if (known !== undefined) return known;
    const opening = this.#open(identity, load, tenant);
    this.#isolates.set(identity, opening);
    const forget = () => this.#forget(identity, opening);
    opening.then(({ isolate }) => isolate.ended.then(forget), forget);
    return opening;
  }

  /** The isolate of this identity, where there is one. */
  peek(identity: string): Promise<LoadedIsolate> | undefined {
    return this.#isolates.get(identity);
  }

  /** For whom a request of this isolate is made that names this delivery. */
  callOf(identity: string, id: number): RunningCall | undefined {
    return this.#opened.get(identity)?.isolate.callOf(id);
  }

  get usedAt(): number {
    return this.#usedAt;
  }

  /** Something is loaded, or runs. */
  get isBusy(): boolean {
    const isRunning = [...this.#opened.values()].some(({ isolate }) => isolate.isBusy);
    return isRunning || this.#loading > 0 || this.#starting !== undefined;
  }

  /** Ends what was not used for a while. True when nothing is left. */
  sweep(now: number): boolean {
    for (const [identity, opened] of this.#opened) {
      const { isolate, place } = opened;
      if (isolate.isBusy) continue;
      if (now - isolate.usedAt > idleMs || this.#isSpent(place)) this.#close(identity, opened);
    }
    for (const place of this.#processes) {
      const isIdle = place.isolates === 0 && now - this.#usedAt > idleMs;
      if (isIdle || (place.isolates === 0 && this.#isSpent(place))) void place.process.stop();
    }
    return this.#processes.length === 0 && this.#starting === undefined;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#starting?.catch(() => {});
    await Promise.all(this.#processes.map(({ process }) => process.stop()));
  }

  get processes(): readonly WorkerdProcess[] {
    return this.#processes.map(({ process }) => process);
  }

  async #open(identity: string, load: LoadMessage, tenant: Tenant): Promise<LoadedIsolate> {
    if (this.#loading < loadingMax) this.#loading++;
    else await new Promise<void>((resolve) => this.#turns.push(resolve));
    try {
      return await this.#load(identity, load, tenant);
    } finally {
      const next = this.#turns.shift();
      if (next === undefined) this.#loading--;
      else next();
    }
  }

  async #load(identity: string, load: LoadMessage, tenant: Tenant): Promise<LoadedIsolate> {
    const place = await this.#place();
    const release = once(() => place.isolates--);
    try {
      const loaded = await Isolate.open({ process: place.process, load, nextId: this.#needs.nextId }, tenant);
      const { isolate } = loaded;
      this.#opened.set(identity, { isolate, place, release });
      void isolate.ended.then(() => {
        release();
        if (this.#opened.get(identity)?.isolate === isolate) this.#opened.delete(identity);
      });
      return loaded;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Where one more is loaded, with its place taken: there is room, or it is made, or there is another process. */
  async #place(): Promise<Process> {
    for (;;) {
      if (this.#stopped) throw new SandboxError("unavailable", "The server is closing.");
      if (this.#withRoom() === undefined) this.#makeRoom();
      const place = this.#withRoom();
      if (place !== undefined) {
        place.loads++;
        place.isolates++;
        return place;
      }
      // Whoever waits for the same start looks whether there is still room.
      await (this.#starting ?? this.#start());
    }
  }

  #withRoom(): Process | undefined {
    const { isolatesMax } = this.#needs;
    return this.#processes.find(
      (place) => !place.process.isOver && !this.#isSpent(place) && place.isolates < isolatesMax,
    );
  }

  #isSpent({ loads, process }: Process): boolean {
    return loads >= this.#needs.loadsMax || process.isFull;
  }

  #makeRoom(): void {
    const cold = performance.now() - hotMs;
    const idle = [...this.#opened].filter(
      ([, { isolate, place }]) => !isolate.isBusy && isolate.usedAt < cold && !this.#isSpent(place),
    );
    const [oldest] = idle.sort(([, a], [, b]) => a.isolate.usedAt - b.isolate.usedAt);
    if (oldest !== undefined) this.#close(...oldest);
  }

  #close(identity: string, { isolate, release }: Opened): void {
    this.#opened.delete(identity);
    this.#isolates.delete(identity);
    release();
    isolate.close();
  }

  #forget(identity: string, opening: Promise<LoadedIsolate>): void {
    if (this.#isolates.get(identity) === opening) this.#isolates.delete(identity);
  }

  async #start(): Promise<Process> {
    const starting = this.#needs.start(this).then((process): Process => {
      const started = { process, loads: 0, isolates: 0 };
      this.#processes.push(started);
      // Those that were in it are needed again at once: the next one boots while this one ends.
      void process.over.then(() => {
        if (started.isolates > 1) this.prepare();
      });
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

function once(run: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) run();
    isDone = true;
  };
}
