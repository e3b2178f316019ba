/**
 * The state of one processor, now or at any offset: the one at hand, or else folded from the newest snapshot before it.
 * Without effects: no hook is called.
 */
import { type Consumer, isFoldError, openFolded, StreamError } from "@millrace/protocol";
import { builtins } from "./builtins.ts";
import { continuesBatch, decodeRecord } from "./record.ts";
import { sliceOf } from "./state.ts";
import type { Stream } from "./stream.ts";

export interface ProcessorState {
  state: unknown;
  /** The last event that is folded in. */
  offset: number;
  version: string;
}

type Builtin = (typeof builtins)[number];

const pageEvents = 1_000;
const pageBytes = 1024 * 1024;

/** Of a built-in of this slug, or else of a consumer that runs on this stream. @throws StreamError `not_found` */
export async function processorStateAt(stream: Stream, slug: string, at: number | undefined): Promise<ProcessorState> {
  const head = stream.head.offset;
  if (at !== undefined && at > head) {
    throw new StreamError("offset_conflict", `There is no event ${at}: the head is ${head}.`, { head, expected: at });
  }
  const builtin = builtins.find((candidate) => candidate.slug === slug);
  if (builtin !== undefined) return builtinAt(stream, builtin, at ?? head);
  const consumer = foldersOf(stream).find(({ spec }) => spec.slug === slug);
  if (consumer === undefined) throw noProcessor(stream, slug);
  return consumerAt(stream, consumer, at);
}

async function builtinAt(stream: Stream, builtin: Builtin, at: number): Promise<ProcessorState> {
  const version = String(builtin.version);
  if (at === stream.head.offset) return { state: sliceOf(stream.slices, builtin), offset: at, version };
  let state: unknown = builtin.initialState;
  let offset = stream.birthOffset - 1;
  while (offset < at) {
    const page = await stream.log.read({ after: offset, through: at, maxEvents: pageEvents, maxBytes: pageBytes });
    if (page.records.length === 0) break;
    for (const record of page.records) {
      const event = decodeRecord(stream.path, ++offset, record);
      state = builtin.reduce({ state: state as never, event, continued: continuesBatch(record) });
    }
  }
  return { state, offset, version };
}

async function consumerAt(stream: Stream, consumer: Consumer, at: number | undefined): Promise<ProcessorState> {
  const version = String(consumer.spec.configuredAt);
  const { folded, house } = consumer;
  if (folded?.value !== undefined && (at === undefined || at === folded.offset)) {
    return { state: folded.value, offset: folded.offset, version };
  }
  const through = at ?? stream.head.offset;
  const apart = await openFolded(consumer, await consumer.code(), through, true);
  try {
    let after = Math.max(apart.offset, stream.birthOffset - 1);
    while (after < through) {
      const page = await house.read(after, through, { types: consumer.spec.types, shared: false });
      for (const event of page.events) {
        const admitted = apart.admit === undefined ? { event } : await apart.admit(event);
        if (admitted !== undefined && "event" in admitted) await apart.fold(admitted.event);
      }
      after = page.through;
    }
    return { state: await apart.state(), offset: through, version };
  } catch (error) {
    if (!isFoldError(error)) throw error;
    const message = `There is no state of ${consumer.spec.slug} at ${through}: at event ${error.offset}, ${error.message}`;
    throw new StreamError("invalid_request", message, { field: "at" });
  } finally {
    apart.close();
  }
}

/** The consumers that have a state at all: what only passes events on has none. */
function foldersOf({ consumers }: Stream): Consumer[] {
  return [...(consumers ?? [])].filter(({ kind }) => !kind.stateless);
}

function noProcessor(stream: Stream, slug: string): StreamError<"not_found"> {
  const consumers = foldersOf(stream).map(({ spec }) => spec.slug);
  const known = [...builtins.map((builtin) => builtin.slug), ...consumers].join(", ");
  return new StreamError("not_found", `This stream has no processor "${slug}"; it has ${known}.`, {});
}
