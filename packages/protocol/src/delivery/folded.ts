/**
 * The state of one processor on one stream, and its hooks called over it. Two kinds: here, in the same process, or
 * elsewhere, such as in a sandbox. The consumer does not know which it has.
 */
import type { StreamEvent } from "../event.ts";
import type { CatchUpArguments, HookArguments, Logger } from "../hook.ts";
import type { Admitted } from "./admit.ts";
import type { DeliveryHouse, StoredState } from "./house.ts";
import type { Holding } from "./spec.ts";

export interface Folded extends Holding {
  /** Whether it has an afterCatchUp. */
  readonly decides: boolean;
  /** Everything up to here is folded, or was handed over to be. */
  readonly offset: number;
  /** The state, where it is at hand. */
  readonly value: unknown;
  /** What of a stream is for it, and as what. Without it every event is, as it stands. */
  admit?(event: StreamEvent): Admitted | Promise<Admitted>;
  /** Throws or rejects with FoldError, also for an event that was handed over before. */
  fold(event: StreamEvent): void | Promise<void>;
  /** Everything up to here was looked at, and the rest was not for this processor. */
  through(offset: number): void;
  /** Resolves when nothing that was handed over is left to be folded; undefined when that is so. Rejects with FoldError. */
  settle?(): Promise<void> | undefined;
  /** A snapshot, where so much was folded since the last one that it saves time. */
  snapshot(): StoredState | undefined;
  /** The state right now, as JSON would have it. Rejects with FoldError. */
  state(): unknown;
  afterAppend(call: Omit<HookArguments<unknown>, "state">): void | Promise<void>;
  afterCatchUp(call: Omit<CatchUpArguments<unknown>, "state">): void | Promise<void>;
}

/** A processor whose code and state lie elsewhere. */
export interface ElsewhereProcessor {
  /** @param from where its state is to begin */
  open(from: Opening): Folded;
}

export interface Opening {
  house: Pick<DeliveryHouse, "path" | "read" | "streamId" | "random">;
  /** The newest snapshot of this version. */
  stored: StoredState | undefined;
  /** A later state than this would be the wrong one. */
  cursor: number;
  /** An event that its schema refused was passed over. */
  passedOver(offset: number, fault: string): Promise<void>;
  /** Says on the stream what went wrong, once for each offset. */
  tell(offset: number, message: string): Promise<void>;
  /** Where what is said while an event is folded goes. */
  loggerAt(offset: number): Logger;
}

/** The reducer failed: it is deterministic, so it would fail again. Recognised by name. */
export class FoldError extends Error {
  override readonly name = "FoldError";
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

/** What ran was ended by no fault of its own, as by the end of a process: it may have begun. Recognised by name. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
}

export function isFoldError(error: unknown): error is FoldError {
  return error instanceof Error && error.name === "FoldError";
}

export function isInterruptedError(error: unknown): error is InterruptedError {
  return error instanceof Error && error.name === "InterruptedError";
}
