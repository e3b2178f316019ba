/** Whoever watches from outside and survives every crash: which hooks began and returned, what was acknowledged. */
import type { StreamEvent } from "@millrace/protocol";
import type { Disk, StoredStream } from "./disk.ts";
import { type FoldState, foldState, initialFold, isFor, type Seat } from "./scripts.ts";

export interface Work {
  path: string;
  slug: string;
  epoch: number;
  offset: number;
  name: string;
  /** How often it ran. */
  began: number;
  /** A pause, a halt, a stop or another version ended it. */
  cut: boolean;
  ended: boolean;
}

export interface Observer {
  /** `path|slug|epoch|offset` of every hook call that returned. */
  readonly returned: ReadonlySet<string>;
  readonly works: ReadonlyMap<string, Work>;
  /** What was acknowledged to clients: path, offset and id, with the stream's life. */
  readonly acknowledged: { path: string; offset: number; id: string; streamId: string }[];
  readonly calls: number;
  seat(place: Pick<Seat, "path" | "slug" | "epoch" | "configuredAt">, gate: Seat["gate"]): Seat;
}

/**
 * @param alone there is never a second server: only then no side effect is repeated
 * @param wrong hears of what must not be
 */
export function createObserver(disk: Disk, alone: boolean, wrong: (message: string) => void): Observer {
  const returned = new Set<string>();
  const works = new Map<string, Work>();
  let calls = 0;

  function seat(place: Pick<Seat, "path" | "slug" | "epoch" | "configuredAt">, gate: Seat["gate"]): Seat {
    const { path, slug, epoch } = place;
    const idOf = (offset: number) => `${path}|${slug}|${epoch}|${offset}`;
    return {
      ...place,
      gate,
      began(event, state) {
        calls++;
        judgeCall(disk, place, event, state, wrong);
        if (!alone) return;
        judgeOrder(disk, place, event, works.values(), wrong);
        const row = disk.streams.get(path)?.progress.get(slug);
        if (row?.epoch === epoch && event.offset <= row.cursor)
          wrong(`${slug} is called for ${path}|${event.offset}, and its cursor is at ${row.cursor}`);
      },
      returned: (event) => returned.add(idOf(event.offset)),
      workAsked(name, offset) {
        const id = `${idOf(offset)}|${name}`;
        if (!works.has(id)) works.set(id, { ...place, offset, name, began: 0, cut: false, ended: false });
      },
      workBegan(name, offset) {
        const work = works.get(`${idOf(offset)}|${name}`) as Work;
        if (++work.began > 1 && alone) wrong(`${idOf(offset)}|${name} was begun twice`);
        const row = disk.streams.get(path)?.progress.get(slug);
        if (row?.epoch === epoch && !row.work.some((open) => open.name === name)) {
          wrong(`${idOf(offset)}|${name} begins and is not on disk as open`);
        }
      },
      workCut(name, offset) {
        (works.get(`${idOf(offset)}|${name}`) as Work).cut = true;
      },
      workEnded(name, offset) {
        const work = works.get(`${idOf(offset)}|${name}`);
        if (work !== undefined) work.ended = true;
      },
    };
  }

  return {
    returned,
    works,
    acknowledged: [],
    get calls() {
      return calls;
    },
    seat,
  };
}

/** A hook is called for what is on disk, with the state of a fresh fold, and never for an error about itself. */
function judgeCall(
  disk: Disk,
  { path, slug }: Pick<Seat, "path" | "slug">,
  event: StreamEvent,
  state: FoldState,
  wrong: (message: string) => void,
): void {
  const stream = disk.streams.get(path);
  // Deleted while the call was on its way.
  if (stream === undefined || event.offset < stream.birthOffset) return;
  const stored = stream.events[event.offset - stream.birthOffset];
  if (stored?.type !== event.type) wrong(`${slug} is called for ${path}|${event.offset}, which is not on disk`);
  if (!isFor(event, slug)) wrong(`${slug} is called for ${path}|${event.offset}, which is not for it`);
  const { count, hash } = foldFor(stream, slug, event.offset);
  if (state.count !== count || state.hash !== hash) {
    wrong(`${slug} is called for ${path}|${event.offset} with a state of ${state.count} events, not ${count}`);
  }
  if (isAbout(event, slug)) wrong(`${slug} is called for the error about itself at ${path}|${event.offset}`);
}

function foldFor({ events, folds, birthOffset }: StoredStream, slug: string, offset: number): FoldState {
  const at = offset - birthOffset;
  if (events.every((event) => isFor(event, slug))) return folds[at] ?? initialFold;
  return events
    .slice(0, at + 1)
    .filter((event) => isFor(event, slug))
    .reduce(foldState, initialFold);
}

/** What was cut short is settled, or told, before a hook begins for an event behind it. */
function judgeOrder(
  { streams }: Disk,
  { path, slug, epoch }: Pick<Seat, "path" | "slug" | "epoch">,
  event: StreamEvent,
  works: Iterable<Work>,
  wrong: (message: string) => void,
): void {
  const stream = streams.get(path);
  for (const work of works) {
    if (work.path !== path || work.slug !== slug || work.epoch !== epoch || work.offset >= event.offset) continue;
    if (!work.cut || work.ended || stream === undefined || work.offset < stream.birthOffset) continue;
    if (stream.reference.workErrors.has(`${slug}|${work.offset}|${work.name}`)) continue;
    wrong(`${slug} is called for ${path}|${event.offset}, and nobody knows yet of ${work.name} that was cut short`);
  }
}

/** Says that something is wrong with this processor. */
export function isAbout({ type, payload }: StreamEvent, slug: string): boolean {
  const { about, slug: named } = payload as { about?: { slug: string }; slug?: string };
  return about?.slug === slug || (type.endsWith("/dynamic-worker/halted") && named === slug);
}
