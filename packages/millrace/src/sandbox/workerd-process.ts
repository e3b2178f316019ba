/** One sandbox process from its start to its end: booted, watched while code runs in it, killed when it hangs. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { getPriority, setPriority } from "node:os";
import { join } from "node:path";
import { Activities } from "./activities.ts";
import type { Activity, Death, ProcessEnd } from "./activity.ts";
import type { BurningLimits } from "./burning.ts";
import { BurningWatch, type WatchedProcess } from "./burning-watch.ts";
import { spawnWithServer } from "./end-with-server.ts";
import { dataBytesMax } from "./isolation.ts";
import { type Line, openLine } from "./line.ts";
import { Pauses } from "./pauses.ts";
import { type DirectoryNeeds, makeProcessDirectory, type ProcessDirectory } from "./process-directory.ts";
import { cpuMsOf, dataBytesOf, heldBytesOf, innermostOf } from "./process-figures.ts";

export interface ProcessNeeds extends DirectoryNeeds {
  binary: string;
  burning: BurningLimits;
}

const bootMs = 10_000;
const pingEveryMs = 50;
const lookEveryMs = 50;
/** Beyond it nothing more is loaded here. */
const fullBytes = 0.625 * dataBytesMax;
/** Beyond it somebody takes what others need. It ends before their allocations fail. */
const hoardedBytes = 0.875 * dataBytesMax;
/** What the runtime takes beside a full heap, such as compiled code and what is being collected: 3 to 13 MB were seen. */
const besideHeapMb = 16;
/** Of what it may have: from there on it may be the search for room that takes its time. */
const crowdedShare = 0.75;
/** How much the machine's other work goes before one that is busy for long. */
const niceness = 5;
const nicenessMax = 19;
/** No look is worth more: what is measured has ticks of so long. */
const lookEveryMsMin = 10;

export class WorkerdProcess {
  readonly #child: ChildProcess;
  readonly #needs: ProcessNeeds;
  readonly #activities = new Activities();
  readonly ended: Promise<ProcessEnd>;
  /** Until it has ended. */
  readonly #pauses = new Pauses();
  /** Resolves when it is decided that it ends. */
  readonly over: Promise<void>;
  #tellOver: () => void = () => {};
  /** Its files are gone, too. */
  readonly #cleared: Promise<void>;
  #said = "";
  #control: Line | undefined;
  /** Behind what it was wrapped in. */
  #worker = 0;
  #burning: BurningWatch | undefined;
  #niceness = 0;
  #looking: NodeJS.Timeout | undefined;
  /** What it had of the machine's memory before any code ran. */
  #emptyBytes: number | undefined;
  #pings = 0;
  #pong: (id: number) => void = () => {};
  #answeredAt: number = performance.now();
  #watching = false;
  #hasEnded = false;
  #isFull = false;
  #killed: Omit<ProcessEnd, "said" | "last"> | undefined;

  /** Rejects with what it said when it does not start. */
  static async start(needs: ProcessNeeds): Promise<WorkerdProcess> {
    const files = await makeProcessDirectory(needs);
    let started: WorkerdProcess;
    try {
      started = new WorkerdProcess(needs, files);
    } catch (error) {
      await files.clear();
      throw error;
    }
    await started.#boot();
    return started;
  }

  private constructor(needs: ProcessNeeds, files: ProcessDirectory) {
    this.#needs = needs;
    this.over = new Promise((resolve) => (this.#tellOver = resolve));
    const { directory, binary, number } = needs;
    const serve = [binary, "serve", "--experimental", "--control-fd=3", join(directory, "config.capnp")];
    const { limits, wrap } = needs.isolation;
    const command = wrap(serve, { directory, number });
    this.#child = spawnWithServer(command, { env: {}, cwd: directory, ...(limits && { limits }) });
    this.#child.stderr?.on("data", (data) => {
      this.#said = (this.#said + String(data)).slice(-4_000);
    });
    const closed = new Promise<void>((resolve) => {
      this.#child.once("error", (error) => {
        this.#said += error.message;
        // Where it could not be started nothing else is heard.
        if (this.pid === undefined) resolve();
      });
      this.#child.once("close", () => resolve());
    });
    this.ended = closed.then(() => {
      this.#hasEnded = true;
      clearInterval(this.#looking);
      this.#tellOver();
      this.#pauses.over();
      return this.#endOf();
    });
    this.#cleared = closed.then(() => files.clear());
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Nothing is loaded into it any more: it has ended, or is about to. */
  get isOver(): boolean {
    return this.#hasEnded || this.#killed !== undefined;
  }

  /** It has not much memory left. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** It was busy almost all of the time that was looked at. */
  get isBusy(): boolean {
    return this.#burning?.isBusy ?? false;
  }

  /** Whoever begins something new waits for this, where it is there. */
  get held(): Promise<void> | undefined {
    return this.#burning?.held;
  }

  /** When the last ping was sent that it answered. */
  get answeredAt(): number {
    return this.#answeredAt;
  }

  open(hear: Parameters<typeof openLine>[1]): Promise<Line> {
    return openLine(join(this.#needs.directory, "http.sock"), hear);
  }

  /** Watched until it is over. */
  begin(activity: Activity): () => void {
    const over = this.#activities.begin(activity);
    void this.#watch();
    return over;
  }

  /** Resolves when nothing is left of it. */
  async stop(): Promise<void> {
    this.#kill("stopped", { suspects: [], others: [] });
    await this.#cleared;
  }

  async #boot(): Promise<void> {
    try {
      await this.#listening();
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#worker = innermostOf(this.pid as number);
    this.#lookFromNowOn();
    void this.#connectControl();
  }

  /** Nobody waits for it: a ping that was due before is sent as soon as it is there. */
  async #connectControl(): Promise<void> {
    try {
      this.#control = await this.open((message) => {
        if (message.is === "pong") this.#pong(message.id);
      });
      if (this.#pings > 0) this.#control.send({ is: "ping", id: this.#pings });
      await this.#control.closed;
    } catch (error) {
      this.#said += (error as Error).message;
    }
    // Without it nobody would see that it hangs.
    await this.#lost();
  }

  /**
   * What is busy for long comes behind the server. Not from the start: on a machine with much to do one that hangs would
   * take longer to be found, and its neighbours to be loaded again.
   */
  #yield(): void {
    const wanted = this.#burning?.shouldYield === true ? niceness : 0;
    if (wanted === this.#niceness) return;
    this.#niceness = wanted;
    try {
      setPriority(this.#worker, Math.min(getPriority() + wanted, nicenessMax));
    } catch {
      // It is gone already, or this user may not take it back: then it stays behind the server.
    }
  }

  #lookFromNowOn(): void {
    if (this.#hasEnded) return;
    const { burning } = this.#needs;
    this.#emptyBytes = heldBytesOf(this.#worker);
    const watched: WatchedProcess = {
      ...{ pid: this.#worker, activities: this.#activities },
      isOver: () => this.isOver,
      pause: (milliseconds) => this.#pauses.pause(milliseconds),
      burns: (since) => this.#kill("burning", this.#activities.burned(since), tookCore(burning)),
    };
    this.#burning = new BurningWatch(watched, burning);
    this.#looking = setInterval(() => this.#lookAround(), burning.lookEveryMs);
    this.#looking.unref();
  }

  async #listening(): Promise<void> {
    // Without pipes it did not even start.
    const control = this.#child.stdio?.[3] as (NodeJS.ReadableStream & NodeJS.EventEmitter) | undefined;
    const listening = control === undefined ? new Promise<never>(() => {}) : once(control, "data");
    const late = new AbortController();
    const first = await Promise.race([
      listening.then(() => "listening"),
      this.ended.then(() => "ended"),
      sleep(bootMs, late.signal).then(() => "late"),
    ]);
    late.abort();
    listening.catch(() => {});
    if (first !== "listening") {
      throw new Error(`The sandbox process did not start: ${this.#said.trim() || "it said nothing"}`);
    }
  }

  /** At its end the connection goes with it. When it does not end by itself, it is of no use. */
  async #lost(): Promise<void> {
    await this.#pauses.pause(1_000);
    if (!this.#hasEnded) this.#kill("crash", this.#hung(Number.POSITIVE_INFINITY));
  }

  /**
   * A process hangs when it does not answer a ping and has used the CPU meanwhile: on a machine that is starved
   * nobody is convicted. It is asked only while something runs in it that somebody waits for, and otherwise once.
   */
  async #watch(): Promise<void> {
    if (this.#watching || this.isOver) return;
    this.#watching = true;
    do {
      await this.#ping();
      this.#look();
      await sleep(pingEveryMs);
    } while (this.#activities.areAwaited && !this.isOver);
    this.#look();
    this.#watching = false;
  }

  /** What was left behind may compute, and hold memory, though nobody waits for anything. */
  #lookAround(): void {
    if (this.isOver || this.#burning === undefined) return;
    const computedMs = this.#burning.look();
    this.#yield();
    this.#look();
    if (computedMs > this.#needs.burning.lookEveryMs / 2) void this.#watch();
  }

  async #ping(): Promise<void> {
    const sentAt = performance.now();
    const cpuBefore = cpuMsOf(this.#worker);
    const id = ++this.#pings;
    let answered = false;
    const pong = new Promise<void>((resolve) => {
      this.#pong = (answer) => {
        if (answer !== id) return;
        answered = true;
        this.#answeredAt = sentAt;
        resolve();
      };
    });
    this.#control?.send({ is: "ping", id });
    let leftMs = this.#activities.cpuMsMax;
    while (!answered && !this.isOver) {
      await Promise.race([pong, this.#pauses.pause(Math.min(lookEveryMs, Math.max(leftMs, lookEveryMsMin)))]);
      // What fills memory computes, too: so this is asked first.
      if (!answered && this.#hoards()) return this.#kill("memory", this.#hung(sentAt));
      const cpuNow = cpuMsOf(this.#worker);
      // Where it cannot be known, a machine is rarely so busy that a tenth of the time is not the process's.
      const isKnown = cpuBefore !== undefined && cpuNow !== undefined;
      const used = isKnown ? cpuNow - cpuBefore : (performance.now() - sentAt) / 10;
      leftMs = this.#activities.cpuMsMax - used;
      if (!answered && leftMs <= 0) return this.#kill("cpu", this.#hung(sentAt), this.#crowded());
    }
  }

  /** Whoever keeps memory lets the allocations of others fail, so it is looked at before there is none. */
  #look(): void {
    const ran = this.#activities.takeRan();
    this.#isFull = this.#needs.memoryMb === undefined && this.#dataBytes() > fullBytes;
    if (this.#hoards()) this.#kill("memory", this.#activities.against(ran));
  }

  /**
   * What all of it may take is what the system bounds. What one may have, who is alone in it, is what the machine lacks:
   * both grow alike with objects and with buffers, but the former begins at half a gigabyte that nobody has touched, and
   * keeps counting what was given back.
   */
  #hoards(): boolean {
    if (this.#dataBytes() > hoardedBytes) return true;
    const { memoryMb } = this.#needs;
    return memoryMb !== undefined && this.#heldMb() > memoryMb + besideHeapMb;
  }

  /** Beside what it had when it was empty. */
  #heldMb(): number {
    if (this.#emptyBytes === undefined) return 0;
    return ((heldBytesOf(this.#worker) ?? 0) - this.#emptyBytes) / 2 ** 20;
  }

  /** A heap that is almost full is searched for room over and over, which looks like a loop. */
  #crowded(): string | undefined {
    const { memoryMb } = this.#needs;
    if (memoryMb === undefined) return undefined;
    const heldMb = Math.min(Math.round(this.#heldMb()), memoryMb);
    return heldMb < crowdedShare * memoryMb ? undefined : computedCrowded(heldMb, memoryMb);
  }

  #dataBytes(): number {
    return dataBytesOf(this.#worker) ?? 0;
  }

  #hung(unansweredAt: number): Suspected {
    return this.#activities.hung({ unansweredAt, answeredAt: this.#answeredAt });
  }

  #kill(death: Death, suspected: Suspected, why?: string): void {
    this.#killed ??= { death, ...suspected, ...(why === undefined ? {} : { why }) };
    // Nothing less ends one that loops.
    this.#child.kill("SIGKILL");
    this.#tellOver();
  }

  #endOf(): ProcessEnd {
    const said = this.#said.trim();
    const { last } = this.#activities;
    const death = /out of memory|allocation failed/i.test(said) ? "memory" : "crash";
    const end = this.#killed ?? { death, ...this.#hung(Number.POSITIVE_INFINITY) };
    const { memoryMb } = this.#needs;
    const why = end.death === "memory" && memoryMb !== undefined ? { why: tookMore(memoryMb) } : {};
    return { ...why, ...end, last, said };
  }
}

type Suspected = Pick<ProcessEnd, "suspects" | "others">;

function tookCore({ windowMs }: BurningLimits): string {
  return `took a whole core for ${windowMs / 1_000} s, giving way now and then, as in a loop that awaits, and was stopped.`;
}

function tookMore(memoryMb: number): string {
  return `took more memory than the ${memoryMb} MB of its limits.memoryMb, and was stopped.`;
}

function computedCrowded(heldMb: number, memoryMb: number): string {
  return `computed for too long without giving way, with ${heldMb} of the ${memoryMb} MB of its limits.memoryMb in use, and was stopped. It is an endless loop, or needs more memory: with little room left, the time goes into finding some.`;
}

function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => clearTimeout(timer), { once: true });
  });
}
