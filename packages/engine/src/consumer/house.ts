/** What a consumer needs from the stream that it stands on, and from the house around that. */
import type { StreamEvent } from "@millrace/protocol";
import type { AppendRequest } from "../forming.ts";
import type { Random } from "../ports/clock.ts";
import type { Snapshot } from "../ports/log.ts";
import type { Appended } from "../stream.ts";
import type { ConsumerPlace } from "./spec.ts";

export interface ConsumerHouse extends ConsumerPlace {
  readonly random: Random;
  head(): number;
  paused(): boolean;
  /** Events behind an offset, at least one, as far as one page goes; `through` is how far that was looked. */
  read(after: number, through: number, types: ReadonlySet<string> | undefined): Promise<Page>;
  /** All events of the range, decoded once for everybody who asks for the same. They are not to be changed. */
  readShared(after: number, through: number): Promise<Page>;
  /** Whether what is committed is to be kept in memory for a while, because somebody acts on it. */
  follow(following: boolean): void;
  decode(path: string, offset: number, record: string): StreamEvent;
  consumerSnapshot(consumer: string): Promise<Snapshot | undefined>;
  /** To any stream of the project. */
  append(path: string, request: AppendRequest): Promise<Appended[]>;
  /** Puts all progress that changed on disk, also if nobody appends. */
  save(): Promise<void>;
  /** The same before long, if there is anything to save, unless a commit takes it along before. */
  saveSoon(): void;
  /** What was asked for by `saveSoon` is due, if it is. */
  called(now: number): void;
  /** Nothing waits to be saved. */
  readonly settled: boolean;
  /** Calls `called` of this stream's consumers at that time. */
  callMe(at: number): void;
  /** Calls back once when another stream is resumed. Returns how to take it back. */
  onResumed(path: string, run: () => void): () => void;
  onFailure(error: unknown): void;
}

export interface Page {
  events: StreamEvent[];
  through: number;
}
