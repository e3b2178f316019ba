/** One sandbox process from its start to its end: booted, watched while code runs in it, killed when it hangs. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cpuMsOf } from "./cpu-time.ts";
import type { Isolation } from "./isolation.ts";
import { type Line, openLine } from "./line.ts";
import { processFiles } from "./process-config.ts";
import type { WorkerModules } from "./worker-modules.ts";

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
}

/** What somebody was doing: so that it is known when the same has been done again. */
export interface Deed {
  what: "load" | "fold" | "call";
  /** Up to which event. */
  through: number;
}

export type Death = "cpu" | "memory" | "crash" | "stopped";

export interface ProcessEnd {
  death: Death;
  /** What ran and may have done it; and what was there and seemed to wait. */
  suspects: readonly Activity[];
  others: readonly Activity[];
  /** The last that it said. */
  said: string;
}

export interface ProcessNeeds {
  binary: string;
  directory: string;
  isolation: Isolation;
  modules: WorkerModules;
  /** Listens where everything leaves. Called before the process starts. */
  listen(socketPath: string): Promise<{ close(): Promise<void> }>;
}

const bootMs = 10_000;
const pingEveryMs = 100;
const lookEveryMs = 50;
/** A ping that was sent a moment after something: the order of the two in the process is not known. */
const orderMs = 5;

export class WorkerdProcess {
  readonly #child: ChildProcess;
  readonly #needs: ProcessNeeds;
  readonly #activities = new Set<Activity>();
  readonly ended: Promise<ProcessEnd>;
  #said = "";
  #control: Line | undefined;
  #pings = 0;
  #pong: (id: number) => void = () => {};
  #watching = false;
  #hasEnded = false;
  #killed: Omit<ProcessEnd, "said"> | undefined;

  /** Rejects with what it said when it does not start. */
  static async start(needs: ProcessNeeds): Promise<WorkerdProcess> {
    const { directory, isolation, modules } = needs;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const [name, text] of Object.entries(processFiles(directory, modules)))
      writeFileSync(join(directory, name), text);
    const gate = await needs.listen(join(directory, "egress.sock"));
    if (isolation.user !== undefined) {
      const { uid, gid } = isolation.user;
      for (const name of ["", "config.capnp", "runner.js", "egress.sock"]) chownSync(join(directory, name), uid, gid);
    }
    chmodSync(join(directory, "egress.sock"), 0o600);
    const started = new WorkerdProcess(needs, gate);
    await started.#boot();
    return started;
  }

  private constructor(needs: ProcessNeeds, gate: { close(): Promise<void> }) {
    this.#needs = needs;
    const serve = [needs.binary, "serve", "--experimental", "--control-fd=3", join(needs.directory, "config.capnp")];
    const [command = "", ...args] = needs.isolation.wrap(serve);
    this.#child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe", "pipe"], env: {}, cwd: needs.directory });
    this.#child.stderr?.on("data", (data) => {
      this.#said = (this.#said + String(data)).slice(-4_000);
    });
    this.ended = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.#said += error.message;
        this.#hasEnded = true;
      });
      this.#child.once("close", () => {
        this.#hasEnded = true;
        void gate.close().finally(() => rmSync(needs.directory, { recursive: true, force: true }));
        resolve(this.#endOf());
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get activities(): ReadonlySet<Activity> {
    return this.#activities;
  }

  open(hear: Parameters<typeof openLine>[1]): Promise<Line> {
    return openLine(join(this.#needs.directory, "http.sock"), hear);
  }

  /** Watched until it is over. */
  begin(activity: Activity): () => void {
    this.#activities.add(activity);
    void this.#watch();
    return () => this.#activities.delete(activity);
  }

  async stop(): Promise<void> {
    this.#kill("stopped", []);
    await this.ended;
  }

  async #boot(): Promise<void> {
    const listening = once(this.#child.stdio[3] as NodeJS.ReadableStream & NodeJS.EventEmitter, "data");
    const late = AbortSignal.timeout(bootMs);
    const tooLate = new Promise<"late">((resolve) => late.addEventListener("abort", () => resolve("late")));
    const first = await Promise.race([listening.then(() => "listening"), this.ended.then(() => "ended"), tooLate]);
    if (first !== "listening") {
      this.#kill("stopped", []);
      throw new Error(`The sandbox process did not start: ${this.#said.trim() || "it said nothing"}`);
    }
    this.#control = await this.open((message) => {
      if (message.is === "pong") this.#pong(message.id);
    });
  }

  /**
   * A process hangs when it does not answer a ping and has used the CPU meanwhile: on a machine that is starved
   * nobody is convicted. It is asked only while something runs in it.
   */
  async #watch(): Promise<void> {
    if (this.#watching) return;
    this.#watching = true;
    while (this.#activities.size > 0 && !this.#hasEnded) {
      await this.#ping();
      await sleep(pingEveryMs);
    }
    this.#watching = false;
  }

  async #ping(): Promise<void> {
    const sentAt = performance.now();
    const cpuBefore = cpuMsOf(this.pid as number) ?? 0;
    const id = ++this.#pings;
    let answered = false;
    const pong = new Promise<void>((resolve) => {
      this.#pong = (answer) => {
        if (answer !== id) return;
        answered = true;
        resolve();
      };
    });
    this.#control?.send({ is: "ping", id });
    while (!answered && !this.#hasEnded) {
      await Promise.race([pong, this.ended, sleep(lookEveryMs)]);
      const used = (cpuMsOf(this.pid as number) ?? 0) - cpuBefore;
      if (!answered && used >= this.#cpuMsMax()) return this.#kill("cpu", this.#suspectsAt(sentAt));
    }
  }

  #cpuMsMax(): number {
    return Math.max(...[...this.#activities].map(({ cpuMs }) => cpuMs), 0);
  }

  /** What was sent after an unanswered ping never ran; and whoever waits for an answer does not run. */
  #suspectsAt(pingedAt: number): Activity[] {
    const ran = [...this.#activities].filter(({ sentAt }) => sentAt <= pingedAt + orderMs);
    const running = ran.filter(({ questions }) => questions === 0);
    return running.length > 0 ? running : ran;
  }

  #kill(death: Death, suspects: readonly Activity[]): void {
    this.#killed ??= {
      death,
      suspects,
      others: [...this.#activities].filter((activity) => !suspects.includes(activity)),
    };
    // Nothing less ends one that loops.
    this.#child.kill("SIGKILL");
  }

  #endOf(): ProcessEnd {
    const said = this.#said.trim();
    if (this.#killed !== undefined) return { ...this.#killed, said };
    const death = /out of memory|allocation failed/i.test(said) ? "memory" : "crash";
    const suspects = this.#suspectsAt(Number.POSITIVE_INFINITY);
    return { death, suspects, others: [...this.#activities].filter((activity) => !suspects.includes(activity)), said };
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
