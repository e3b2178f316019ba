/**
 * What a stream needs from the house it lives in: its log, the clock, and whom to tell of what it has on disk. The
 * engine gives it to each stream (`engine.ts`).
 */
import type { Limits } from "@millrace/protocol";
import type { HeirPlace } from "./consumer/inheritance.ts";
import type { Inherited } from "./consumer/inherited-specs.ts";
import type { StreamConsumers } from "./consumer/stream-consumers.ts";
import type { Entry } from "./forming.ts";
import type { Holders } from "./holders.ts";
import type { Clock } from "./ports/clock.ts";
import type { Claim, DueStream, StreamLog } from "./ports/log.ts";
import type { Stream } from "./stream.ts";

export interface StreamDependencies {
  log: StreamLog;
  clock: Clock;
  limits: Limits;
  newStreamId(): string;
  isoTime(milliseconds: number): string;
  claimAtBirth(now: number, first: Entry): Claim | null;
  claimAtRemoval(open: Claim | null, now: number): Claim | null;
  /** Who acts on the events of this stream; undefined where nobody ever does. */
  consumersOf(stream: Stream): StreamConsumers | undefined;
  /** What streams above configured for this one; undefined where nobody ever inherits. */
  lookUp: ((place: HeirPlace) => Promise<readonly Inherited[]>) | undefined;
  /**
   * What this stream says to those below it is about to change: they are to ask again. Resolves when no commit is in
   * flight there that was formed without knowing of it.
   */
  onSharing(): Promise<unknown>;
  /** When the holders of cursors were heard. */
  holders: Holders;
  /** A commit of this stream is on disk, and with it this obligation. */
  onWork(due: DueStream): void;
  /** A commit may be on disk or not, and with it an obligation. */
  onUnknown(): void;
  /** It is to be opened then, and that is on disk. */
  onClaim(wakeAt: number): void;
  /** It is to be woken then; nobody else remembers. */
  onCall(at: number): void;
  /** A pause is over. */
  onResumed(): void;
  /** Something of this stream became visible. */
  onPublished(): void;
  /** Scheduled events are on disk, and their times had come then. */
  onTicks(dueAt: readonly number[]): void;
  onFailure(error: unknown): void;
}
