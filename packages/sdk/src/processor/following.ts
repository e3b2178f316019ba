/**
 * The connection of a run: one live read, over as many connections as it takes, and what its breaks mean. What comes
 * after a long absence is missed, and whoever follows is told so before the first event of it.
 */
import type { Clock, StreamEvent } from "@millrace/protocol";
import type { EventsClient } from "../client.ts";
import { isTransient } from "../errors.ts";
import type { EventStream } from "../event-stream.ts";
import type { Matching } from "./matching.ts";

export interface FollowOptions {
  client: EventsClient;
  matching: Matching;
  clock: Clock;
  awayAfterMs: number;
  signal: AbortSignal;
  /** Once, when what comes is new: everything waits for it. Must not reject. */
  onConnected(): Promise<void>;
  /** Contact was lost for so long that what came meanwhile is missed. */
  onAbsence(): Promise<void>;
  onEvent(event: StreamEvent): Promise<void>;
  /** The followed stream itself was deleted. Resolves with where its next life is waited for. */
  onDeleted(): Promise<number | "end">;
  onFailure(error: unknown): void;
}

/** On a connection that lasts, only a silence that the server itself would have broken is an absence. */
const silenceMs = 60_000;

/** Ends only by the signal, or by what waiting does not change. */
export async function follow(options: FollowOptions): Promise<never> {
  const { clock, signal, onAbsence, onEvent, onFailure } = options;
  const contact = createContact(clock, options.awayAfterMs);
  let connected: Promise<void> | undefined;
  let after: number | string = "end";

  function open(): EventStream {
    return options.client.stream(options.matching.root, {
      after,
      includeChildren: options.matching.includeChildren,
      signal,
      onContact: contact.made,
      onCaughtUp(position) {
        // Nothing came while nobody was there.
        contact.takeAbsence();
        if (connected !== undefined) return;
        // What comes from here on is new, also should this read have to be opened again.
        after = position.after;
        connected = options.onConnected().finally(contact.reset);
      },
      onDisconnected({ error }) {
        contact.lost();
        if (error !== undefined) onFailure(error);
      },
    });
  }

  for (;;) {
    const events = open();
    try {
      for await (const event of events) {
        await connected;
        if (contact.takeAbsence()) await onAbsence();
        await onEvent(event);
      }
      await connected;
      after = await options.onDeleted();
    } catch (error) {
      // A read that was opened again gives up on a server that is away; whoever was connected before does not.
      if (signal.aborted || connected === undefined || !isTransient(error)) throw error;
      after = events.cursor ?? after;
      contact.lost();
    }
  }
}

function createContact(clock: Clock, awayAfterMs: number) {
  let lastAt = clock.now();
  let broken = false;
  let absent = false;
  return {
    made(): void {
      const now = clock.now();
      if (now - lastAt > (broken ? awayAfterMs : Math.max(awayAfterMs, silenceMs))) absent = true;
      lastAt = now;
      broken = false;
    },
    lost(): void {
      broken = true;
    },
    /** Whoever was busy for long was not away. */
    reset(): void {
      lastAt = clock.now();
      absent = false;
    },
    takeAbsence(): boolean {
      const was = absent;
      absent = false;
      return was;
    },
  };
}
