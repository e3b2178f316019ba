/**
 * Where suspects of one project run: each alone in a process, the likeliest first. Whoever has done again what it was
 * doing when its process ended, or runs for a while without harm, is let go; and the next has its turn. Those that are
 * suspected of what takes longer to show stay for as long, and until they have their turn they run with the others.
 */
import {
  type SandboxCalls,
  type SandboxDelivery,
  type SandboxDescription,
  SandboxError,
  type SandboxResult,
} from "@millrace/engine";
import type { Deed } from "./activity.ts";
import { deedOf, type RunningCall } from "./delivery.ts";
import { Isolate, type IsolateNeeds, type Tenant } from "./isolate.ts";
import type { LoadMessage } from "./messages.ts";
import type { Suspects } from "./suspects.ts";
import { createTurns } from "./turns.ts";
import type { WorkerdProcess } from "./workerd-process.ts";

export interface QuarantineNeeds {
  /** @param memoryMb what its code may hold, where that is said */
  start(room: Pick<Room, "callOf">, memoryMb?: number): Promise<WorkerdProcess>;
  /** How many more processes there may be. */
  placesLeft(): number;
  suspects: Suspects;
  nextId(): number;
}

/** A process with one isolate. */
export interface Room {
  process: WorkerdProcess;
  /** Who is in it, and the last that it did there. */
  tenant?: { suspect: string; deed: Deed };
  isolate?: Isolate;
  callOf(isolate: string, id: number): RunningCall | undefined;
}

interface Cell {
  suspect: string;
  room: Room;
  isolate: Isolate;
  description: SandboxDescription;
  /** Where what it is suspected of shows at once there is none. */
  holdMs: number | undefined;
  /** It did something here. */
  hasActed: boolean;
  /** The turn of the next. */
  leave(): void;
  cancelIdle(): void;
}

/** So long without harm, running or with nothing to do, and it is let go. */
const harmlessMs = 1_000;
/** At the same time: on a machine with few cores, more would take the time from each other. */
const atATime = 2;
/**
 * Most of these are idle most of the time, and each end of the process of all interrupts all: with half as many, twice
 * to three times as many ends are needed until the one is found that did it.
 */
const slowAtATime = 8;
/** For those that cannot run elsewhere meanwhile. */
const placesKept = 4;
/** What it may have left behind comes behind something that it does: so long that is waited for. */
const actsWithinMs = 30_000;

export class Quarantine {
  readonly #needs: QuarantineNeeds;
  readonly #cells = new Map<string, Promise<Cell | undefined>>();
  readonly #rooms = new Set<Room>();
  readonly #starting = new Set<Promise<unknown>>();
  /** Those that want a room, or are about to. */
  #wanting = 0;
  /** For the next of them, so that it does not wait for a process as well. */
  #ahead: Promise<Room> | undefined;
  readonly #turns = createTurns(atATime);
  /** Nobody waits half a minute for one of these. */
  readonly #slowTurns = createTurns(slowAtATime);

  constructor(needs: QuarantineNeeds) {
    this.#needs = needs;
  }

  get processes(): WorkerdProcess[] {
    return [...this.#rooms].map(({ process }) => process);
  }

  /**
   * What its processor says of itself; undefined where it is no suspect any more by the time that its turn comes.
   * Rejects with SandboxError: "code" once it is convicted.
   */
  async load(tenant: Tenant, load: LoadMessage): Promise<SandboxDescription | undefined> {
    const cell = await this.#cellOf(tenant, load);
    if (cell === undefined) return undefined;
    if (!isSuspect(this.#needs.suspects, tenant)) this.#letGo(cell);
    return cell.description;
  }

  /** Like `load`. */
  async deliver(
    tenant: Tenant,
    load: LoadMessage,
    delivery: SandboxDelivery,
    calls: SandboxCalls,
  ): Promise<SandboxResult | undefined> {
    const { suspects } = this.#needs;
    const { suspect } = tenant;
    const cell = await this.#cellOf(tenant, load);
    if (cell === undefined) return undefined;
    const deed = deedOf(delivery);
    cell.room.tenant = { suspect, deed };
    if (cell.holdMs === undefined || !cell.hasActed) {
      cell.cancelIdle();
      cell.cancelIdle = this.#letGoLater(cell);
    }
    cell.hasActed = true;
    try {
      const result = await cell.isolate.deliver(delivery, calls, tenant);
      if (result.is !== "state-missing") suspects.did(suspect, deed);
      if (!suspects.isSuspect(suspect)) this.#letGo(cell);
      return result;
    } catch (error) {
      const conviction = convictionOf(suspects, tenant);
      throw conviction === undefined ? error : new SandboxError("code", conviction);
    }
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.#starting);
    await Promise.all([...this.#rooms].map(({ process }) => process.stop()));
  }

  #cellOf(tenant: Tenant, load: LoadMessage): Promise<Cell | undefined> {
    const { suspect } = tenant;
    const known = this.#cells.get(suspect);
    if (known !== undefined) return known;
    const opening = this.#open(tenant, load);
    this.#cells.set(suspect, opening);
    const leave = () => this.#leaveCell(suspect, opening);
    opening.then((cell) => cell ?? leave(), leave);
    return opening;
  }

  async #open(tenant: Tenant, load: LoadMessage): Promise<Cell | undefined> {
    const { suspects, nextId } = this.#needs;
    const { suspect } = tenant;
    const holdMs = suspects.isSuspect(tenant.code) ? undefined : suspects.holdMsOf(suspect);
    const isSlow = holdMs !== undefined;
    if (!isSlow) this.#wanting++;
    const leave = isSlow ? this.#slowTurn() : await this.#turns.take(() => rankOf(suspects, tenant));
    if (leave === undefined) return undefined;
    if (!isSlow) this.#wanting--;
    try {
      // The same code may have been tried meanwhile, for another stream.
      const conviction = convictionOf(suspects, tenant);
      if (conviction !== undefined) throw new SandboxError("code", conviction);
      if (!isSuspect(suspects, tenant)) {
        leave();
        return undefined;
      }
      const room = await this.#roomFor(load.limits?.memoryMb);
      room.tenant = { suspect: tenant.code, deed: { what: "load", through: 0 } };
      const { isolate, description } = await this.#load({ process: room.process, load, nextId }, tenant);
      room.isolate = isolate;
      for (const who of [suspect, tenant.code]) suspects.did(who, { what: "load", through: 0 });
      const cell: Cell = {
        ...{ suspect, room, isolate, description, holdMs },
        hasActed: false,
        leave,
        cancelIdle() {},
      };
      cell.cancelIdle = this.#letGoLater(cell, Math.max(holdMs ?? harmlessMs, isSlow ? actsWithinMs : 0));
      void room.process.ended.then(() => this.#letGo(cell));
      return cell;
    } catch (error) {
      leave();
      throw error;
    } finally {
      if (this.#wanting === 0) this.#giveUpAhead();
    }
  }

  #slowTurn(): (() => void) | undefined {
    return this.#needs.placesLeft() > placesKept ? this.#slowTurns.takeNow() : undefined;
  }

  async #roomFor(memoryMb: number | undefined): Promise<Room> {
    const ahead = memoryMb === undefined ? this.#ahead : undefined;
    if (ahead !== undefined) this.#ahead = undefined;
    if (this.#wanting > 0 && this.#ahead === undefined) {
      this.#ahead = this.#room(undefined);
      // Whoever takes it starts one that does.
      this.#ahead.catch(() => {});
    }
    const room = await ahead?.catch(() => undefined);
    return room === undefined || room.process.isOver ? this.#room(memoryMb) : room;
  }

  #giveUpAhead(): void {
    this.#ahead?.then(
      ({ process }) => process.stop(),
      () => {},
    );
    this.#ahead = undefined;
  }

  async #load(needs: IsolateNeeds, tenant: Tenant): ReturnType<typeof Isolate.open> {
    try {
      return await Isolate.open(needs, tenant);
    } catch (error) {
      const conviction = convictionOf(this.#needs.suspects, tenant);
      await needs.process.stop();
      throw conviction === undefined ? error : new SandboxError("code", conviction);
    }
  }

  async #room(memoryMb: number | undefined): Promise<Room> {
    const room: Partial<Room> & Pick<Room, "callOf"> = { callOf: (_, id) => room.isolate?.callOf(id) };
    const starting = this.#needs.start(room, memoryMb);
    this.#starting.add(starting);
    try {
      room.process = await starting;
    } finally {
      this.#starting.delete(starting);
    }
    const made = room as Room;
    this.#rooms.add(made);
    void made.process.ended.then(({ death, suspects: ran, others, why }) => {
      this.#rooms.delete(made);
      if (death === "stopped" || made.tenant === undefined) return;
      // Somebody else may have ended it. What was found in it is the one's who is alone in it, also what it left behind.
      if (death === "crash" && ran.length + others.length === 0) return;
      this.#needs.suspects.endedAlone(made.tenant.suspect, death, made.tenant.deed, why);
    });
    return made;
  }

  /** It has shown that it gives way: what still runs goes on here, and what comes next runs with the others. */
  #letGoLater(cell: Cell, milliseconds: number = cell.holdMs ?? harmlessMs): () => void {
    const since = performance.now();
    const timer = setTimeout(() => {
      const { isolate, room, holdMs } = cell;
      const isQuiet = holdMs === undefined ? !isolate.isBusy || room.process.answeredAt >= since : !room.process.isBusy;
      if (!isQuiet && !room.process.isOver) cell.cancelIdle = this.#letGoLater(cell, harmlessMs);
      else this.#letGo(cell);
    }, milliseconds);
    return () => clearTimeout(timer);
  }

  #letGo(cell: Cell): void {
    const { suspect, room, isolate } = cell;
    cell.cancelIdle();
    cell.leave();
    if (room.isolate !== isolate) return;
    if (!room.process.isOver) this.#needs.suspects.acquit(suspect);
    this.#leaveCell(suspect);
    void isolate.atRest().then(() => this.#vacate(room, isolate));
  }

  #leaveCell(suspect: string, opening?: Promise<Cell | undefined>): void {
    if (opening === undefined || this.#cells.get(suspect) === opening) this.#cells.delete(suspect);
  }

  #vacate(room: Room, isolate: Isolate): void {
    if (room.isolate !== isolate) return;
    isolate.close();
    delete room.isolate;
    delete room.tenant;
    // Nobody comes after it: what it may have left behind would be the next one's fault.
    void room.process.stop();
  }
}

function rankOf(suspects: Suspects, { suspect, code }: Tenant): number {
  return Math.min(suspects.rankOf(suspect), suspects.rankOf(code));
}

export function isSuspect(suspects: Suspects, { suspect, code }: Tenant): boolean {
  return suspects.isSuspect(suspect) || suspects.isSuspect(code);
}

export function convictionOf(suspects: Suspects, { suspect, code }: Tenant): string | undefined {
  return suspects.convictionOf(suspect) ?? suspects.convictionOf(code);
}
