/**
 * One call of a hook, or one piece of open work: what it may append, with which keys, and until when.
 *
 * Keys are derived from what the call is for and from the number of the append in it, in a key space that no client
 * can name. So doing it again changes nothing; and if it is not the same that is done again, the call has diverged.
 */
import { isStreamError, StreamError } from "../errors.ts";
import type { EventInput, StreamEvent } from "../event.ts";
import type { HookAppend } from "../hook.ts";
import { resolvePath } from "../paths.ts";
import type { Consumer } from "./consumer.ts";

export interface CallPurpose {
  /** What the call is for, in the derived keys: an offset, and for open work its name. */
  key: string;
  cause: { streamPath: string; offset: number };
  depth: number;
  /** No call for this was ever begun before, in this process or another. */
  isFirst: boolean;
  /** What an earlier call of this purpose appended, as far as this process remembers. */
  before: readonly AppendedBefore[];
}

export interface AppendedBefore {
  path: string;
  type: string;
}

export class Call {
  readonly controller: AbortController = new AbortController();
  readonly appended: AppendedBefore[] = [];
  /** Why the hook is not to be called again for this: what it did now is not what it did before. */
  diverged: string | undefined;
  /** The other stream that was paused when it was appended to. */
  pausedPath: string | undefined;
  /** Its own stream was paused when it appended there, whether or not that was heard of already. */
  refusedByPause = false;
  readonly #consumer: Consumer;
  readonly #purpose: CallPurpose;
  readonly #pending: Set<Promise<unknown>> = new Set();
  /** Most calls are closed without anybody's asking why: an error is made for whoever does. */
  #closed: (() => StreamError) | undefined;

  constructor(consumer: Consumer, purpose: CallPurpose) {
    this.#consumer = consumer;
    this.#purpose = purpose;
  }

  /** Nothing that it appends from here on is taken. */
  close(reason: () => StreamError): void {
    this.#closed ??= reason;
  }

  /** Waits for appends that the hook left behind. Rejects if one of them failed, since nobody heard of it. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  readonly append: HookAppend = (input) => {
    const appending = this.#append(input);
    this.#pending.add(appending);
    const done = () => this.#pending.delete(appending);
    appending.then(done, done);
    return appending;
  };

  async #append(input: Parameters<HookAppend>[0]): Promise<StreamEvent> {
    this.#fence();
    const { path, event } = this.#parse(input);
    const number = this.appended.length;
    this.appended.push({ path, type: event.type });
    this.#compare(number, this.#purpose.before[number], { path, type: event.type });
    const { key, cause, depth, isFirst } = this.#purpose;
    const { house, spec, name, streamId, kind } = this.#consumer;
    try {
      const { event: stored, replayed } = await house.append({
        path,
        event,
        key: `d:${name}/${spec.epoch}/${streamId}/${key}/${number}`,
        ...(isFirst ? { isFirstUse: true } : {}),
        source: { kind: kind.sourceKind, slug: spec.slug, cause, depth: depth + 1 },
        fence: () => this.#fence(),
      });
      if (replayed) this.#compare(number, { path, type: stored.type }, { path, type: event.type });
      return stored;
    } catch (error) {
      if (isStreamError(error, "stream_paused")) {
        this.pausedPath = path;
        if (path === house.path) this.refusedByPause = true;
      }
      throw error;
    }
  }

  #compare(number: number, before: AppendedBefore | undefined, now: AppendedBefore): void {
    if (before === undefined || (before.path === now.path && before.type === now.type)) return;
    this.diverged = `Append ${number + 1} was ${before.type} to ${before.path} in an earlier call for the same event, and now is ${now.type} to ${now.path}. What a hook appends may hang on nothing but the event and the state.`;
    throw new StreamError("idempotency_conflict", this.diverged, { idempotencyKey: this.#purpose.key, offset: 0 });
  }

  #fence(): void {
    if (this.#closed !== undefined) throw this.#closed();
    if (this.diverged !== undefined) {
      throw new StreamError("idempotency_conflict", this.diverged, { idempotencyKey: this.#purpose.key, offset: 0 });
    }
  }

  #parse(input: Parameters<HookAppend>[0]): { path: string; event: EventInput } {
    const { house } = this.#consumer;
    const aimed = typeof input === "object" && input !== null && "event" in input;
    const path = aimed ? resolvePath(house.path, input.path) : house.path;
    return { path, event: house.parse(aimed ? input.event : input) };
  }
}
