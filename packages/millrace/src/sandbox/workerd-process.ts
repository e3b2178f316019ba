/** One sandbox process from its start to its end: booted, watched while code runs in it, killed when it hangs. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Activity, type Death, type ProcessEnd, suspectsAmong } from "./activity.ts";
import { spawnWithServer } from "./end-with-server.ts";
import { dataBytesMax, type Isolation } from "./isolation.ts";
import { type Line, openLine } from "./line.ts";
import { processFiles } from "./process-config.ts";
import { cpuMsOf, dataBytesOf, innermostOf } from "./process-figures.ts";
import type { WorkerModules } from "./worker-modules.ts";

export interface ProcessNeeds {
  binary: string;
  directory: string;
  /** Of this server: each process may have a user of its own. */
  number: number;
  isolation: Isolation;
  modules: WorkerModules;
  /** Listens where everything leaves. Called before the process starts. */
  listen(socketPath: string): Promise<{ close(): Promise<void> }>;
}

const bootMs = 10_000;
const pingEveryMs = 50;
const lookEveryMs = 50;
/** Beyond it nothing more is loaded here. */
const fullBytes = 0.625 * dataBytesMax;
/** Beyond it somebody takes what others need. It ends before their allocations fail. */
const hoardedBytes = 0.875 * dataBytesMax;

export class WorkerdProcess {
  readonly #child: ChildProcess;
  readonly #needs: ProcessNeeds;
  readonly #activities = new Set<Activity>();
  /** What ran since memory was looked at last. */
  #ran = new Set<Activity>();
  readonly ended: Promise<ProcessEnd>;
  /** Its files are gone, too. */
  readonly #cleared: Promise<void>;
  #said = "";
  #control: Line | undefined;
  /** Behind what it was wrapped in. */
  #worker = 0;
  #pings = 0;
  #pong: (id: number) => void = () => {};
  #answeredAt: number = performance.now();
  #watching = false;
  #hasEnded = false;
  #isFull = false;
  #killed: Omit<ProcessEnd, "said"> | undefined;

  /** Rejects with what it said when it does not start. */
  static async start(needs: ProcessNeeds): Promise<WorkerdProcess> {
    const { directory, isolation, modules, number } = needs;
    let gate: { close(): Promise<void> } | undefined;
    let started: WorkerdProcess;
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      for (const [name, text] of Object.entries(processFiles(directory, modules)))
        writeFileSync(join(directory, name), text);
      gate = await needs.listen(join(directory, "egress.sock"));
      const user = isolation.userOf?.(number);
      if (user !== undefined) {
        for (const name of ["", "config.capnp", "runner.js", "egress.sock"])
          chownSync(join(directory, name), user, user);
      }
      chmodSync(join(directory, "egress.sock"), 0o600);
      started = new WorkerdProcess(needs, gate);
    } catch (error) {
      // It is tried again and again: on a machine that has no descriptors left, each would take one more.
      await gate?.close();
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
    await started.#boot();
    return started;
  }

  private constructor(needs: ProcessNeeds, gate: { close(): Promise<void> }) {
    this.#needs = needs;
    const { directory, binary, number } = needs;
    const serve = [binary, "serve", "--experimental", "--control-fd=3", join(directory, "config.capnp")];
    const command = needs.isolation.wrap(serve, { directory, number });
    this.#child = spawnWithServer(command, { env: {}, cwd: directory });
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
      return this.#endOf();
    });
    this.#cleared = closed
      .then(() => gate.close())
      .catch(() => {})
      .then(() => rmSync(directory, { recursive: true, force: true }));
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

  get activities(): ReadonlySet<Activity> {
    return this.#activities;
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
    this.#activities.add(activity);
    this.#ran.add(activity);
    void this.#watch();
    return () => this.#activities.delete(activity);
  }

  /** Resolves when nothing is left of it. */
  async stop(): Promise<void> {
    this.#kill("stopped", []);
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

  async #listening(): Promise<void> {
    const listening = once(this.#child.stdio[3] as NodeJS.ReadableStream & NodeJS.EventEmitter, "data");
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
    const late = new AbortController();
    await Promise.race([this.ended, sleep(1_000, late.signal)]);
    // A timer that is left would hold up the end of the server.
    late.abort();
    if (!this.#hasEnded) this.#kill("crash", this.#suspects(Number.POSITIVE_INFINITY));
  }

  /**
   * A process hangs when it does not answer a ping and has used the CPU meanwhile: on a machine that is starved
   * nobody is convicted. It is asked only while something runs in it.
   */
  async #watch(): Promise<void> {
    if (this.#watching) return;
    this.#watching = true;
    while (this.#activities.size > 0 && !this.isOver) {
      await this.#ping();
      this.#look();
      await sleep(pingEveryMs);
    }
    this.#look();
    this.#watching = false;
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
    while (!answered && !this.isOver) {
      const looking = new AbortController();
      await Promise.race([pong, this.ended, sleep(lookEveryMs, looking.signal)]);
      looking.abort();
      // What fills memory computes, too: so this is asked first.
      if (!answered && this.#dataBytes() > hoardedBytes) return this.#kill("memory", this.#suspects(sentAt));
      const cpuNow = cpuMsOf(this.#worker);
      // Where it cannot be known, a machine is rarely so busy that a tenth of the time is not the process's.
      const isKnown = cpuBefore !== undefined && cpuNow !== undefined;
      const used = isKnown ? cpuNow - cpuBefore : (performance.now() - sentAt) / 10;
      if (!answered && used >= this.#cpuMsMax()) return this.#kill("cpu", this.#suspects(sentAt));
    }
  }

  #cpuMsMax(): number {
    return Math.max(...[...this.#activities].map(({ cpuMs }) => cpuMs), 0);
  }

  /** Whoever keeps memory lets the allocations of others fail, so it is looked at before there is none. */
  #look(): void {
    const bytes = this.#dataBytes();
    this.#isFull = bytes > fullBytes;
    if (bytes > hoardedBytes) this.#kill("memory", [...this.#ran]);
    this.#ran = new Set(this.#activities);
  }

  #dataBytes(): number {
    return dataBytesOf(this.#worker) ?? 0;
  }

  #suspects(unansweredAt: number): Activity[] {
    return suspectsAmong(this.#activities, { unansweredAt, answeredAt: this.#answeredAt });
  }

  #kill(death: Death, suspects: readonly Activity[]): void {
    this.#killed ??= { death, suspects, others: this.#othersThan(suspects) };
    // Nothing less ends one that loops.
    this.#child.kill("SIGKILL");
  }

  #othersThan(suspects: readonly Activity[]): Activity[] {
    return [...this.#activities].filter((activity) => !suspects.includes(activity));
  }

  #endOf(): ProcessEnd {
    const said = this.#said.trim();
    if (this.#killed !== undefined) return { ...this.#killed, said };
    const death = /out of memory|allocation failed/i.test(said) ? "memory" : "crash";
    const suspects = this.#suspects(Number.POSITIVE_INFINITY);
    return { death, suspects, others: this.#othersThan(suspects), said };
  }
}

function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => clearTimeout(timer), { once: true });
  });
}
