/** What a test sees of its stream: all that is stored, what of it is the processor's, and what became of its state. */
import { decodeRecord, type Engine } from "@millrace/engine";
import { isJsonObject, type StreamEvent } from "@millrace/protocol";
import { resolvePath } from "./relative-path.ts";
import { project } from "./test-server.ts";
import type { ProcessorError, TestStream } from "./test-stream.ts";

type View<State> = Pick<TestStream<State>, "events" | "appended" | "errors" | "state" | "streamState">;

/** @param engine the one that runs now */
export function viewOf<State>(own: string, slug: string, engine: () => Engine): View<State> {
  return {
    events: (path = "./") => allEvents(engine(), resolvePath(own, path)),

    async appended() {
      const all = await everything(engine());
      return all.filter(({ source }) => source?.kind === "processor" && source.slug === slug);
    },

    errors: async () => errorsOf(await allEvents(engine(), own), slug),

    async state() {
      const { state } = await engine().processorState(project, own, slug, undefined);
      return state as State;
    },

    streamState: () => engine().state(project, own),
  };
}

async function allEvents(engine: Engine, path: string): Promise<StreamEvent[]> {
  const found: StreamEvent[] = [];
  for await (const item of engine.read(project, path, { after: 0 }, new AbortController().signal)) {
    if (item.kind !== "events") continue;
    found.push(...item.records.map((record, i) => decodeRecord(path, item.first + i, record)));
  }
  return found;
}

/** Of every stream, in the order in which it was stored. */
async function everything(engine: Engine): Promise<StreamEvent[]> {
  const found: StreamEvent[] = [];
  const request = { after: { position: 0, skip: 0 } };
  for await (const item of engine.readSubtree(project, "/", request, new AbortController().signal)) {
    if (item.kind !== "events") continue;
    found.push(...item.events.map(({ path, offset, record }) => decodeRecord(path, offset, record)));
  }
  return found;
}

const builtin = "https://events.iterate.com/events/stream/";

function errorsOf(events: readonly StreamEvent[], slug: string): ProcessorError[] {
  const errors: ProcessorError[] = [];
  for (const { type, payload, source, offset } of events) {
    if (source?.kind !== "server" || !isJsonObject(payload)) continue;
    const message = String(payload.message);
    if (type === `${builtin}error-occurred` && isJsonObject(payload.about) && payload.about.slug === slug) {
      errors.push({ message, offset: Number(payload.about.offset) });
    } else if (type === `${builtin}dynamic-worker/halted` && payload.slug === slug) {
      errors.push({ message, offset: Number(payload.offset), halted: true });
    } else if (type === `${builtin}paused`) {
      errors.push({ message: `The stream was paused: ${payload.reason}`, offset });
    }
  }
  return errors;
}
