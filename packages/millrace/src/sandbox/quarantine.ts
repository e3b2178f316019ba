/**
 * Where suspects run: each alone in a process of its own, one after another. Whoever has done again what it was doing
 * when its process ended, or runs for a while without harm, is let go; and the next has its turn.
 */
import {
  type SandboxCalls,
  type SandboxDelivery,
  type SandboxDescription,
  SandboxError,
  type SandboxResult,
} from "@millrace/engine";
import { deedOf, Isolate, type RunningCall, type Tenant } from "./isolate.ts";
import type { LoadMessage } from "./messages.ts";
import type { Suspects } from "./suspects.ts";
import type { WorkerdProcess } from "./workerd-process.ts";

export interface QuarantineNeeds {
  start(cell: { callOf(id: number): RunningCall | undefined }): Promise<WorkerdProcess>;
  suspects: Suspects;
  nextId(): number;
}

interface Cell {
  suspect: string;
  isolate: Isolate;
  process: WorkerdProcess;
  description: SandboxDescription;
  /** The turn of the next. */
  leave(): void;
  hasLeft: boolean;
  cancelIdle(): void;
}

/** So long without harm, running or with nothing to do, and it is let go. */
const harmlessMs = 2_000;

export class Quarantine {
  readonly #needs: QuarantineNeeds;
  readonly #cells = new Map<string, Promise<Cell>>();
  #turn: Promise<void> = Promise.resolve();

  constructor(needs: QuarantineNeeds) {
    this.#needs = needs;
  }

  /** What its processor says of itself. Rejects with SandboxError: "code" once it is convicted. */
  async load(tenant: Tenant, load: LoadMessage): Promise<SandboxDescription> {
    const cell = await this.#cellOf(tenant, load);
    if (!this.#needs.suspects.isSuspect(tenant.suspect)) this.#acquit(cell);
    return cell.description;
  }

  /** Rejects with SandboxError: "code" once it is convicted. */
  async deliver(
    tenant: Tenant,
    load: LoadMessage,
    delivery: SandboxDelivery,
    calls: SandboxCalls,
  ): Promise<SandboxResult> {
    const { suspects } = this.#needs;
    const { suspect } = tenant;
    const cell = await this.#cellOf(tenant, load);
    cell.cancelIdle();
    const harmless = setTimeout(() => this.#acquit(cell), harmlessMs);
    try {
      const result = await cell.isolate.deliver(delivery, calls, tenant);
      if (result.is !== "state-missing") suspects.did(suspect, deedOf(delivery));
      if (!suspects.isSuspect(suspect)) this.#acquit(cell);
      return result;
    } catch (error) {
      await cell.process.ended;
      const conviction = suspects.convictionOf(suspect);
      if (conviction !== undefined) throw new SandboxError("code", conviction);
      throw error;
    } finally {
      clearTimeout(harmless);
      cell.cancelIdle = idle(() => this.#acquit(cell));
    }
  }

  async stop(): Promise<void> {
    const cells = await Promise.allSettled(this.#cells.values());
    await Promise.all(cells.map((cell) => (cell.status === "fulfilled" ? cell.value.process.stop() : undefined)));
  }

  #cellOf(tenant: Tenant, load: LoadMessage): Promise<Cell> {
    const { suspect } = tenant;
    const known = this.#cells.get(suspect);
    if (known !== undefined) return known;
    const opening = this.#open(tenant, load);
    this.#cells.set(suspect, opening);
    opening.catch(() => this.#cells.delete(suspect));
    return opening;
  }

  async #open(tenant: Tenant, load: LoadMessage): Promise<Cell> {
    const { suspect } = tenant;
    const before = this.#turn;
    let leave = () => {};
    this.#turn = new Promise((resolve) => (leave = resolve));
    await before;
    const { start, suspects } = this.#needs;
    let isolate: Isolate | undefined;
    try {
      const process = await start({ callOf: (id) => isolate?.callOf(id) });
      void process.ended.then(({ death, suspects: ran, others }) => {
        this.#cells.delete(suspect);
        if (death !== "stopped" && ran.length + others.length > 0) suspects.endedAlone(suspect, death);
        leave();
      });
      const loaded = await this.#load(process, load, tenant);
      isolate = loaded.isolate;
      suspects.did(suspect, { what: "load", through: 0 });
      const cell = { suspect, process, leave, ...loaded, hasLeft: false, cancelIdle: () => {} };
      cell.cancelIdle = idle(() => this.#acquit(cell));
      return cell;
    } catch (error) {
      leave();
      throw error;
    }
  }

  async #load(process: WorkerdProcess, load: LoadMessage, tenant: Tenant): ReturnType<typeof Isolate.open> {
    try {
      return await Isolate.open({ process, load, nextId: this.#needs.nextId }, tenant);
    } catch (error) {
      void process.stop();
      await process.ended;
      const conviction = this.#needs.suspects.convictionOf(tenant.suspect);
      throw conviction === undefined ? error : new SandboxError("code", conviction);
    }
  }

  /** What still runs in its cell goes on; what comes next is given to the others' processes. */
  #acquit(cell: Cell): void {
    if (cell.hasLeft) return;
    cell.hasLeft = true;
    const { suspect, isolate, process, leave } = cell;
    this.#needs.suspects.acquit(suspect);
    this.#cells.delete(suspect);
    leave();
    const end = () => {
      if (isolate.isBusy) return void setTimeout(end, harmlessMs).unref();
      void process.stop();
    };
    end();
  }
}

function idle(run: () => void): () => void {
  const timer = setTimeout(run, harmlessMs);
  return () => clearTimeout(timer);
}
