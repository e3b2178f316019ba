/** The house of the consumers of one stream, built from the stream and what the engine gave it. */
import { type Limits, StreamError } from "@millrace/protocol";
import type { Meter } from "../meter.ts";
import type { Random } from "../ports/clock.ts";
import { decodeRecord, typeOfRecord } from "../record.ts";
import type { Slices } from "../state.ts";
import type { Stream } from "../stream.ts";
import { unavailable } from "../unavailable.ts";
import type { ConsumerHouse, Page } from "./house.ts";

/** Progress that changed is on disk after this time, unless a commit took it along before. */
const saveAfterMs = 1_000;
const pageEvents = 1_000;
const pageBytes = 1024 * 1024;

export interface HouseNeeds extends Pick<ConsumerHouse, "append" | "onResumed" | "onFailure"> {
  random: Random;
  limits: Limits;
  meter: Meter;
  callMe(at: number): void;
}

export function houseOf(stream: Stream, needs: HouseNeeds): ConsumerHouse {
  let savingAt: number | undefined;
  let sharedPage: { after: number; through: number; page: WeakRef<Promise<Page>> } | undefined;

  async function read(after: number, through: number, types: ReadonlySet<string> | undefined): Promise<Page> {
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
    const page = read(after, through, undefined);
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
    read,
    readShared,
    follow(following) {
      stream.tail.followed = following;
    },
    decode: decodeRecord,
    consumerSnapshot: (consumer) => stream.log.consumerSnapshot(consumer).catch(unreadable),
    async eventAt(offset) {
      if (offset < stream.birthOffset || offset > stream.head.offset) return undefined;
      const { events } = await read(offset - 1, offset, undefined).catch(unreadable);
      return events[0];
    },
    async state({ streamId, key, event, offset, slug, stillTrue }) {
      const cause = { streamPath: stream.path, offset };
      const source = { kind: "server" as const, slug, cause, depth: 1 };
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
