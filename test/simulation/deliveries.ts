/**
 * What receivers got, judged when it is sent: in order, nothing left out, truthful about what lies before it. And
 * whether a transformer or a subscription is done with an event, which is what its cursor has to be right about.
 */
import type { OutboundRequest, SocketRequest } from "@millrace/engine";
import type { StreamEvent } from "@millrace/protocol";
import type { Disk, StoredStream } from "./disk.ts";
import { outputKey } from "./outputs.ts";
import type { PushEpoch } from "./push-reference.ts";
import { builtin } from "./reference.ts";
import { evaluated, type PushPayload } from "./rules.ts";
import type { Server } from "./server.ts";

export interface Sent {
  /** `webhook-id`. */
  id: string;
  path: string;
  offset: number;
  url: string;
  /** The commit of the disk behind which it was sent. */
  moment: number;
}

/** A WebSocket, and the offsets that were sent over it: they are under way, or were taken. */
export interface Connection {
  server: Server;
  streamId: string;
  slug: string;
  url: string;
  sent: Set<number>;
}

export interface Deliveries {
  /** Judges a request when it is sent. */
  sent(server: Server, request: OutboundRequest): Sent;
  /** A receiver answered. */
  answered(sent: Sent, status: number): void;
  /** The answer came to the server that waits for it. */
  heard(sent: Sent, status: number): void;
  connected(server: Server, request: SocketRequest): Connection;
  /** Judges a frame when it is sent. */
  sentOver(connection: Connection, frame: string): Sent;
  /** The peer acknowledges it from now on. */
  taken(sent: Sent): void;
  /** This address answered 410. */
  isGone(url: string | undefined): boolean;
  /** Whoever passes this event in this epoch leaves nothing undone. */
  isDone(stream: StoredStream, epoch: PushEpoch, event: StreamEvent): boolean;
}

/** Whoever hears it may crash before it says so. */
const goneHeardMax = 3;
const refusals: ReadonlySet<number> = new Set([400, 413, 422]);

/**
 * @param alone there is one server at a time
 * @param strict it knows all that is on disk, too: so it is known of which epoch a request is
 */
export function createDeliveries(
  disk: Disk,
  { alone, strict }: { alone: boolean; strict: boolean },
  wrong: (message: string) => void,
): Deliveries {
  /** By `webhook-id`: the commit behind which the last one was sent that was accepted. */
  const accepted = new Map<string, number>();
  const refused = new Map<string, number>();
  /** URLs that answered 410. */
  const gone = new Set<string>();
  /** How often somebody heard that. */
  const goneHeard = new Map<string, number>();

  function isDone(stream: StoredStream, epoch: PushEpoch, event: StreamEvent): boolean {
    const { kind, slug, versions } = epoch;
    if (isAboutPusher(event, kind, slug)) return true;
    if (stream.reference.diverged.has(`${kind}/${slug}|${event.offset}`)) return true;
    return versions.some((version) => isDoneBy(version, stream, epoch, event));
  }

  function isDoneBy(version: PushPayload, stream: StoredStream, epoch: PushEpoch, event: StreamEvent): boolean {
    const { kind, slug } = epoch;
    const began = stream.moments[epoch.epoch - stream.birthOffset] as number;
    if (kind === "transformer" && event.source?.kind === "transformer" && event.source.slug === slug) return true;
    const asked = kind === "subscription" ? replayOf(event, slug) : undefined;
    // What had not come when it was asked for has its own turn.
    if (asked !== undefined && asked >= event.offset) return true;
    const target = asked === undefined ? event : stream.events[asked - stream.birthOffset];
    if (target === undefined) return true;
    const sent = sentFor(version, target, asked !== undefined);
    if (sent === "fails") return false;
    if (sent === undefined) return true;
    if (version.type === "webhook" || version.type === "websocket") {
      const id = `${stream.streamId}.${target.offset}.${slug}`;
      const since = asked === undefined ? began : Math.max(began, momentOf(stream, event));
      if ((accepted.get(id) ?? -1) >= since || gone.has(version.callbackUrl as string)) return true;
      return (
        stream.reference.parked.has(`${slug}|${event.offset}`) || (isReport(target) && (refused.get(id) ?? 0) >= 3)
      );
    }
    // What is built in would act there.
    const asItIs = version.type === "stream" && version.jsonataTransform === undefined;
    if (asItIs && target.type.startsWith(builtin(""))) return true;
    const isThere = (n: number) => {
      const key = outputKey({ path: stream.path, consumer: `${kind}/${slug}`, offset: event.offset, n });
      return (disk.outputs.get(key) ?? -1) >= began;
    };
    // What is replayed may itself have come of something, and carry the number that it had there.
    if (asItIs) return isThere(0) || isThere(1);
    const count = sent.startsWith("[") ? (JSON.parse(sent) as unknown[]).length : 1;
    return Array.from({ length: count }, (_, n) => n).every(isThere);
  }

  /** @param underWay what was sent before, and need not be taken yet */
  function mayCome(
    stream: StoredStream,
    epoch: PushEpoch,
    { offset, url }: Sent,
    after: number,
    underWay: ReadonlySet<number>,
  ): boolean {
    if (!epoch.versions.some(({ callbackUrl }) => callbackUrl === url)) return false;
    while (epoch.doneThrough < stream.head) {
      const next = stream.events[epoch.doneThrough + 1 - stream.birthOffset];
      if (next !== undefined && !isDone(stream, epoch, next)) break;
      epoch.doneThrough++;
    }
    const { doneThrough, startAfter, slug } = epoch;
    let through = doneThrough;
    for (; through < stream.head; through++) {
      const next = stream.events[through + 1 - stream.birthOffset];
      if (next === undefined || isDone(stream, epoch, next)) continue;
      if (!underWay.has(replayOf(next, slug) ?? next.offset)) break;
    }
    if (offset > startAfter && offset <= through + 1 && after >= Math.min(startAfter, offset - 1)) return true;
    const asks = (event: StreamEvent) =>
      offset < event.offset && event.offset <= doneThrough + 1 && replayOf(event, slug) === offset;
    return after === offset - 1 && stream.events.some(asks);
  }

  /** What is wrong with it. */
  function judge(
    sent: Sent,
    { body, after }: { body: string; after: number },
    stream: StoredStream | undefined,
    underWay: ReadonlySet<number> = new Set(),
  ): string | undefined {
    const [streamId, , slug = ""] = sent.id.split(".");
    if (stream === undefined || stream.streamId !== streamId) return strict ? "its stream is gone" : undefined;
    const event = stream.events[sent.offset - stream.birthOffset];
    if (event === undefined) return "there is no such event";
    const all = stream.reference.pushEpochs.get(`subscription/${slug}`) ?? [];
    const current = stream.reference.pushers.get(`subscription/${slug}`);
    if (strict && current === undefined) return "its subscription is removed";
    if (strict && current?.halted) return "its subscription is halted";
    const versions = all.flatMap(({ versions }) => versions).filter(({ callbackUrl }) => callbackUrl === sent.url);
    const bodies = versions.flatMap((version) => [sentFor(version, event, false), sentFor(version, event, true)]);
    if (!bodies.includes(body)) return `its body is ${body}, and should be ${bodies}`;
    const epochs = strict ? all.filter(({ epoch }) => epoch === current?.epoch) : all;
    if (!(after < sent.offset)) return `it says that it comes after ${after}`;
    if (epochs.some((epoch) => mayCome(stream, epoch, sent, after, underWay))) return undefined;
    const stands = epochs.map(({ epoch, doneThrough }) => `epoch ${epoch} has done ${doneThrough}`);
    return `it is not its turn after ${after}: ${stands}`;
  }

  return {
    sent(server, request) {
      const { headers, url } = request;
      const id = String(headers["webhook-id"]);
      const [path = "", offset] = decodeURIComponent(String(headers["millrace-cause"])).split("@");
      const sent = { id, path, offset: Number(offset), url, moment: disk.commits };
      if (server.stopped) wrong(`${path} ${id} is sent by ${server.name}, which has stopped`);
      const after = Number(headers["millrace-after"]);
      const fault = judge(sent, { body: request.body, after }, disk.streams.get(path));
      if (fault !== undefined) wrong(`${path} ${id} is sent, and ${fault}`);
      return sent;
    },
    connected(server, { headers, url }) {
      const [streamId = "", slug = ""] = String(headers["webhook-id"]).split(".");
      if (server.stopped) wrong(`${url} is connected to by ${server.name}, which has stopped`);
      return { server, streamId, slug, url, sent: new Set() };
    },
    sentOver({ server, streamId, slug, url, sent: underWay }, frame) {
      const { offset, after, event } = JSON.parse(frame);
      const id = `${streamId}.${offset}.${slug}`;
      const stream = [...disk.streams.values()].find((stored) => stored.streamId === streamId);
      const sent = { id, path: stream?.path ?? "", offset, url, moment: disk.commits };
      if (server.stopped) wrong(`${id} is sent by ${server.name}, which has stopped`);
      const fault = judge(sent, { body: JSON.stringify(event), after }, stream, underWay);
      if (fault !== undefined) wrong(`${sent.path} ${id} is sent over a WebSocket, and ${fault}`);
      underWay.add(offset);
      return sent;
    },
    taken({ id, moment }) {
      accepted.set(id, Math.max(accepted.get(id) ?? 0, moment));
    },
    answered({ id, url, moment }, status) {
      if (status < 300) accepted.set(id, Math.max(accepted.get(id) ?? 0, moment));
      if (refusals.has(status)) refused.set(id, (refused.get(id) ?? 0) + 1);
      if (status === 410) gone.add(url);
    },
    heard({ path, id, url }, status) {
      if (status !== 410) return;
      const times = (goneHeard.get(url) ?? 0) + 1;
      goneHeard.set(url, times);
      // Two servers that run the same stream may keep each other from saying so for as long as both do.
      if (alone && times > goneHeardMax) wrong(`${path} ${id} is sent, and ${url} has answered 410 ${times} times`);
    },
    isGone: (url) => url !== undefined && gone.has(url),
    isDone,
  };
}

/** What is sent for an event: undefined for nothing. */
function sentFor(version: PushPayload, event: StreamEvent, again: boolean): string | "fails" | undefined {
  const matcher = version.matcher ?? (again ? undefined : version.jsonataFilter);
  const transform = version.transform ?? version.jsonataTransform;
  const rule = { ...(matcher === undefined ? {} : { matcher }), ...(transform === undefined ? {} : { transform }) };
  try {
    const result = evaluated(rule, event);
    if (!result.matched) return undefined;
    return transform === undefined ? JSON.stringify(event) : result.result;
  } catch {
    return "fails";
  }
}

function replayOf({ type, payload }: StreamEvent, slug: string): number | undefined {
  const asked = payload as { slug?: string; offset: number } | null;
  return type === builtin("subscription/event-replay-requested") && asked?.slug === slug ? asked.offset : undefined;
}

function momentOf({ moments, birthOffset }: StoredStream, { offset }: StreamEvent): number {
  return moments[offset - birthOffset] as number;
}

function isReport({ type, source }: StreamEvent): boolean {
  return source?.kind === "server" && /(error-occurred|halted|event-parked)$/.test(type);
}

/** What a stream says of a transformer or a subscription is not for that itself. */
export function isAboutPusher({ type, payload }: StreamEvent, kind: string, slug: string): boolean {
  const { about, slug: named } = (payload ?? {}) as { about?: { kind: string; slug: string }; slug?: string };
  if (about?.kind === kind && about.slug === slug) return true;
  const prefix = builtin(kind === "transformer" ? "jsonata-transformer-" : "subscription/");
  return named === slug && type.startsWith(prefix) && !type.endsWith("/event-replay-requested");
}
