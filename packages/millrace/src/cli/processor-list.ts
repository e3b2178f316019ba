/**
 * The deployed processors of streams: which there are is folded from events, and how far each has come is what the
 * server says of it. A server that does not run them says nothing.
 */
import type { BuiltinEvent, BuiltinPayloads, EventsClient } from "@millrace/sdk";
import { type Configured, consumerOf } from "./consumer-list.ts";

type Payload = BuiltinPayloads["https://events.iterate.com/events/stream/dynamic-worker/configured"];

/** Without the code, which may be megabytes. */
export interface DeployedProcessor extends Configured<Omit<Payload, "script" | "modules">> {
  /** Of its code. */
  bytes: number;
}

const types = [
  "https://events.iterate.com/events/stream/dynamic-worker/configured",
  "https://events.iterate.com/events/stream/dynamic-worker/removed",
];

/** By path and slug. @throws MillraceError `not_found` */
export async function processorsOf(
  client: EventsClient,
  path: string,
  { children: includeChildren = false }: { children?: boolean | undefined } = {},
): Promise<DeployedProcessor[]> {
  // A stream that is not there is told as such.
  if (!includeChildren) await client.state(path);
  const byPath = new Map<string, Map<string, DeployedProcessor>>();
  for await (const event of client.read(path, { types, includeChildren })) fold(byPath, event as BuiltinEvent);
  const found: DeployedProcessor[] = [];
  for (const [at, bySlug] of [...byPath].sort(byName)) {
    if (bySlug.size === 0) continue;
    const { consumers } = await client.state(at);
    for (const [slug, processor] of [...bySlug].sort(byName)) {
      const consumer = consumerOf(consumers, "processor", slug);
      found.push(consumer === undefined ? processor : { ...processor, consumer });
    }
  }
  return found;
}

function fold(byPath: Map<string, Map<string, DeployedProcessor>>, event: BuiltinEvent): void {
  const { streamPath: path, offset } = event;
  const bySlug = byPath.get(path) ?? new Map<string, DeployedProcessor>();
  byPath.set(path, bySlug);
  if (event.type === "https://events.iterate.com/events/stream/dynamic-worker/configured") {
    const { script, modules = {}, ...configuration } = event.payload;
    const sources = script === undefined ? Object.values(modules) : [script];
    const bytes = sources.reduce((sum, source) => sum + Buffer.byteLength(source), 0);
    bySlug.set(configuration.slug, { path, slug: configuration.slug, offset, configuration, bytes });
  }
  if (event.type === "https://events.iterate.com/events/stream/dynamic-worker/removed") {
    bySlug.delete(event.payload.slug);
  }
}

const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);
