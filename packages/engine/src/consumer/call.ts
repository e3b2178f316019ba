/**
 * One call of a hook, or one piece of open work: what it may append, with which keys, and until when.
 *
 * Keys are derived from what the call is for and from the number of the append in it, in a key space that no client
 * can name. So doing it again changes nothing; and if it is not the same that is done again, the call has diverged.
 */
import {
  type EventInput,
  type EventSource,
  type HookAppend,
  isStreamError,
  parseEventInput,
  parsePath,
  StreamError,
  type StreamEvent,
} from "@millrace/protocol";
import { contentDigest } from "../digest.ts";
import type { Appended } from "../stream.ts";
import type { Consumer } from "./consumer.ts";

export interface CallPurpose {
  /** What the call is for, in the derived keys: an offset, and for open work its name. */
  key: string;
  cause: { streamPath: string; offset: number };
  depth: number;
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
    const { key, cause, depth } = this.#purpose;
    const { house, spec } = this.#consumer;
    const source: EventSource = { kind: this.#consumer.kind.sourceKind, slug: spec.slug, cause, depth: depth + 1 };
    const derived = `d:${this.#consumer.name}/${spec.epoch}/${this.#consumer.streamId}/${key}/${number}`;
    // A key of its own is the author's word on when two appends are the same one.
    const own = event.idempotencyKey;
    const keyed =
      own === undefined ? { key: derived, digest: "" } : { key: `c:${own}`, digest: contentDigest(event, undefined) };
    try {
      const appended = await house.append(path, {
        entries: [{ event, source, ...keyed }],
        fromServer: false,
        bytes: 0,
        fence: () => this.#fence(),
      });
      return this.#stored(number, path, event, appended[0] as Appended);
    } catch (error) {
      if (path !== house.path && isStreamError(error) && error.code === "stream_paused") this.pausedPath = path;
      throw error;
    }
  }

  #stored(number: number, path: string, event: EventInput, { offset, record, replayed }: Appended): StreamEvent {
    const stored = this.#consumer.house.decode(path, offset, record);
    if (replayed) this.#compare(number, { path, type: stored.type }, { path, type: event.type });
    return stored;
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
    // What is stored is what JSON makes of it; so it is judged as that, and not as the objects of a program.
    const text = JSON.stringify(aimed ? input.event : input) ?? "null";
    const limit = house.limits.eventBytes;
    if (text.length > limit) {
      const message = `The event has ${text.length} characters, more than ${limit}.`;
      throw new StreamError("too_large", message, { limit, unit: "bytes" });
    }
    const parsed = parseEventInput(JSON.parse(text), { jsonDepth: house.limits.jsonDepth });
    if (!parsed.ok) throw new StreamError("invalid_request", `This is no event: ${parsed.error}`, {});
    return { path, event: parsed.event };
  }
}

/** Absolute, or relative to the own stream: `./boris`, `../`. */
function resolvePath(own: string, path: string): string {
  if (typeof path !== "string" || !/^(\/|\.\.?(\/|$))/.test(path)) {
    throw new StreamError("invalid_request", `"${path}" is no path: it begins with "/", "./" or "../".`, {});
  }
  if (path.startsWith("/")) return parsePath(path);
  const segments = own === "/" ? [] : own.slice(1).split("/");
  for (const segment of path.split("/")) {
    if (segment === "." || segment === "") continue;
    if (segment !== "..") segments.push(segment);
    else if (segments.pop() === undefined) {
      throw new StreamError("invalid_request", `"${path}" leads above the root from ${own}.`, {});
    }
  }
  return parsePath(`/${segments.join("/")}`);
}
