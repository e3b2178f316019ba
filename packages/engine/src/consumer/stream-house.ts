/** The house of the consumers of one stream, built from the stream and what the engine gave it. */
import {
  type EventInput,
  type HookSurroundings,
  type Limits,
  type Logger,
  type Page,
  parseEventInput,
  type Random,
  StreamError,
  type StreamEvent,
} from "@millrace/protocol";
import { contentDigest } from "../digest.ts";
import type { AppendRequest } from "../forming.ts";
import type { Meter } from "../meter.ts";
import { decodeRecord, typeOfRecord } from "../record.ts";
import type { Slices } from "../state.ts";
import type { Appended, Stream } from "../stream.ts";
import { unavailable } from "../unavailable.ts";
import type { ConsumerHouse } from "./house.ts";

/** Progress that changed is on disk after this time, unless a commit took it along before. */
const saveAfterMs = 1_000;
const pageEvents = 1_000;
const pageBytes = 1024 * 1024;

export interface HouseNeeds extends Pick<ConsumerHouse, "onResumed" | "onFailure"> {
  /** To any stream of the project. */
  appendTo(path: string, request: AppendRequest): Promise<Appended[]>;
  random: Random;
  /** One stored event of another stream of the project. */
  eventOf(path: string, offset: number): Promise<StreamEvent | undefined>;
  limits: Limits;
  /** What a processor of this stream says goes there, as said of an event. */
  loggerOf(speaking: { slug: string; offset: number }): Logger;
  meter: Meter;
  callMe(at: number): void;
}

export function houseOf(stream: Stream, needs: HouseNeeds): ConsumerHouse {
  let savingAt: number | undefined;
  let sharedPage: { after: number; through: number; page: WeakRef<Promise<Page>> } | undefined;

  async function readFresh(after: number, through: number, types: ReadonlySet<string> | undefined): Promise<Page> {
    const { first, records } = await recordsBehind(stream, after, through);
    const events = [];
    for (const [i, record] of records.entries()) {
      if (types !== undefined && !types.has(typeOfRecord(record))) continue;
      events.push(decodeRecord(stream.path, first + i, record));
    }
    // Where nothing is any more, or nothing was before the stream was born, there is nothing to wait for.
    return { events, through: records.length === 0 ? through : first + records.length - 1 };
  }

  /** For as long as somebody is still busy with it. */
  function readShared(after: number, through: number): Promise<Page> {
    const before = sharedPage?.after === after && sharedPage.through === through ? sharedPage.page.deref() : undefined;
    if (before !== undefined) return before;
    const page = readFresh(after, through, undefined);
    sharedPage = { after, through, page: new WeakRef(page) };
    page.catch(() => {
      sharedPage = undefined;
    });
    return page;
  }

  return {
    ...needs,
    project: stream.project,
    path: stream.path,
    clock: stream.clock,
    streamId: () => stream.streamId ?? "",
    head: () => stream.head.offset,
    paused: () => stream.paused,
    surroundings: (speaking) => ({ logger: needs.loggerOf(speaking), ...ofTheHost }),
    read: (after, through, { types, shared }) =>
      shared && types === undefined ? readShared(after, through) : readFresh(after, through, types),
    follow(following) {
      stream.tail.followed = following;
    },
    parse: (input) => parseHookInput(input, needs.limits),
    async append({ path, event, key, isFirstUse = false, source, fence, bytes = 0 }) {
      // A key of its own is the author's word on when two appends are the same one.
      const own = event.idempotencyKey;
      const keyed =
        own === undefined
          ? { ...(key === undefined ? {} : { key }), ...(isFirstUse ? { isFirstUse } : {}), digest: "" }
          : { key: `c:${own}`, digest: contentDigest(event, undefined) };
      const entries = [{ event, source, ...keyed }];
      const [appended] = await needs.appendTo(path, { entries, fromServer: false, bytes, fence });
      const { offset, record, replayed } = appended as Appended;
      return { event: decodeRecord(path, offset, record), replayed };
    },
    consumerSnapshot: (consumer) => stream.log.consumerSnapshot(consumer).catch(unreadable),
    eventAt(offset, path = stream.path) {
      return (path === stream.path ? eventAt(stream, offset) : needs.eventOf(path, offset)).catch(unreadable);
    },
    async state({ streamId, key, event, offset, slug, depth = 1, stillTrue }) {
      const cause = { streamPath: stream.path, offset };
      const source = { kind: "server" as const, slug, cause, depth };
      const entries = [{ event, key, digest: "", source, onlyIfBorn: true }];
      const fence = (slices: Slices) => {
        if (stream.streamId !== streamId) {
          const { offset: head } = stream.head;
          throw new StreamError("stream_deleted", "The stream that this is about was deleted.", { head });
        }
        if (stillTrue?.(slices) === false) throw unavailable("The consumer that this is about was configured anew.");
      };
      await stream.append({ entries, fromServer: true, bytes: 0, fence });
    },
    save: () => stream.errand(),
    saveSoon() {
      if (savingAt !== undefined || !stream.savesSomething()) return;
      savingAt = stream.clock.now() + saveAfterMs;
      needs.callMe(savingAt);
    },
    called(now) {
      if (savingAt === undefined || savingAt > now) return;
      savingAt = undefined;
      void stream.errand().catch(needs.onFailure);
    },
    get settled() {
      return savingAt === undefined;
    },
  };
}

/** One stored event; undefined when this life of the stream has none there. */
export async function eventAt(stream: Stream, offset: number): Promise<StreamEvent | undefined> {
  if (offset < stream.birthOffset || offset > stream.head.offset) return undefined;
  const { first, records } = await recordsBehind(stream, offset - 1, offset);
  return records[0] === undefined || first !== offset ? undefined : decodeRecord(stream.path, offset, records[0]);
}

/** Code of the host has the host's own; a sandbox gives its processors others. */
const ofTheHost: Omit<HookSurroundings, "logger"> = {
  fetch: (...args) => fetch(...args),
  env: {},
};

/** What is stored is what JSON makes of it; so it is judged as that, and not as the objects of a program. */
function parseHookInput(input: unknown, { eventBytes: limit, jsonDepth }: Limits): EventInput {
  const text = JSON.stringify(input) ?? "null";
  if (text.length > limit) {
    const message = `The event has ${text.length} characters, more than ${limit}.`;
    throw new StreamError("too_large", message, { limit, unit: "bytes" });
  }
  const parsed = parseEventInput(JSON.parse(text), { jsonDepth });
  if (!parsed.ok) throw new StreamError("invalid_request", `This is no event: ${parsed.error}`, {});
  return parsed.event;
}

/** Whoever loads code has to tell a disk that is away from code that is wrong. */
function unreadable(cause: unknown): never {
  throw Object.assign(unavailable("The log could not be read."), { cause });
}

function recordsBehind(stream: Stream, after: number, through: number) {
  const published = stream.tail.at(after + 1);
  if (published === undefined) {
    return stream.log.read({ after, through, maxEvents: pageEvents, maxBytes: pageBytes });
  }
  const from = after + 1 - published.first;
  return { first: after + 1, records: published.records.slice(from, from + pageEvents) };
}
