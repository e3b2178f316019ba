/** The client of a Millrace server: what each method asks, in one object. Needs nothing but `fetch`. */
import type {
  JsonObject,
  JsonValue,
  RemoteCursor,
  RemoteCursorInput,
  Schedule,
  SecretInput,
  SecretNote,
  StreamEvent,
} from "@millrace/protocol";
import { type Append, createAppend } from "./append.ts";
import { type Call, type ClientOptions, type Connection, createConnection, readJson } from "./connection.ts";
import { createEventStream, type EventStream } from "./event-stream.ts";
import { readLive, type StreamOptions } from "./live.ts";
import type { LogLine } from "./log-line.ts";
import { type LogsOptions, readLogs } from "./logs.ts";
import { listPages, type ReadOptions, readPages } from "./pages.ts";
import { retrying } from "./retry.ts";

export interface EventsClient {
  /** Appends one event or a batch; resolves when it is on disk. */
  append: Append;
  /** History: what is there now. */
  read(path: string, options?: ReadOptions): EventStream;
  /** History, then what is new, for as long as the stream lives. */
  stream(path: string, options?: StreamOptions): EventStream;
  /** What is new from now on. */
  tail(path: string, options?: StreamOptions): EventStream;
  /** The same, each event given to a function, whose promise is waited for. Resolves when the stream is deleted. */
  tail(path: string, options: StreamOptions, onEvent: OnEvent): Promise<void>;
  /** @throws MillraceError `not_found` when there is no stream */
  state(path: string, options?: CallOptions): Promise<StreamState>;
  /** The folded state of one processor, now or at an offset. */
  state(path: string, options: ProcessorStateOptions): Promise<ProcessorState>;
  /** The stream at the prefix and everything below it, by path. */
  streams(options?: StreamsOptions): AsyncGenerator<StreamSummary, void, undefined>;
  /** What lies one segment below a path, or with `deep` everything below. */
  children(path: string, options?: ChildrenOptions): AsyncGenerator<StreamSummary, void, undefined>;
  /** Sent once, never again by itself: a repetition could delete what was born in between. */
  delete(path: string, options?: DeleteOptions): Promise<Deletion>;
  projects(options?: CallOptions): AsyncGenerator<{ slug: string }, void, undefined>;
  /** What processors on the server said of late, and with `live` what they say from now on. Never durable. */
  logs(options?: LogsOptions): AsyncGenerator<LogLine, void, undefined>;
  /** Where remote processors say how far they have come. */
  cursors: CursorsClient;
  /** Values that leave the server towards the hosts to which they are pinned, and never come back. */
  secrets: SecretsClient;
  /** The whole path on the server of a path of this client. */
  pathOf(path: string): string;
  /** The same client with whole paths, such as those in events and answers. */
  withoutPrefix(): EventsClient;
}

/** For whoever runs a processor: a cursor on a stream, by the slug of the processor, held by one runtime at a time. */
export interface CursorsClient {
  /** @throws MillraceError `not_found` */
  get(slug: string, path: string, options?: CallOptions): Promise<RemoteCursor>;
  /**
   * Moves it; the same again is a sign of life, and may be sent any number of times.
   * @throws MillraceError `cursor_conflict` with the holder
   */
  put(slug: string, path: string, cursor: RemoteCursorInput, options?: CallOptions): Promise<RemoteCursor>;
  /** Whoever holds it is refused from then on. Sent once. @throws MillraceError `not_found` */
  delete(slug: string, path: string, options?: CallOptions): Promise<void>;
}

/** Of the client's project; `pathPrefix` means nothing here. */
export interface SecretsClient {
  /** Stores it, or replaces the one of this name whole. Sent once. */
  set(secret: SecretInput, options?: CallOptions): Promise<SecretNote>;
  /** By name, without values. */
  list(options?: CallOptions): Promise<SecretNote[]>;
  /** Sent once. @throws MillraceError `not_found` */
  remove(name: string, options?: CallOptions): Promise<void>;
}

export type OnEvent = (event: StreamEvent) => void | Promise<void>;

export interface CallOptions {
  signal?: AbortSignal;
}

export interface ProcessorStateOptions extends CallOptions {
  processor: string;
  at?: number;
}

export interface StreamsOptions extends CallOptions {
  /** Below `pathPrefix`, like every path. */
  prefix?: string;
}

export interface ChildrenOptions extends CallOptions {
  deep?: boolean;
}

export interface DeleteOptions extends CallOptions {
  /** Everything below it as well. */
  children?: boolean;
}

/** Paths in answers are whole: `pathPrefix` is in them. */
export interface StreamSummary {
  path: string;
  head: number;
  createdAt: string;
  lastEventAt: string;
  paused: boolean;
}

export interface StreamState {
  projectSlug: string;
  path: string;
  streamId: string;
  head: number;
  createdAt: string;
  lastEventAt: string;
  paused: boolean;
  /** Only while paused: the event that paused it. */
  pause?: { offset: number; since: string; reason?: string; cause?: JsonValue };
  metadata: JsonObject;
  consumers: Record<string, ConsumerState>;
  /** Left out where there is none. */
  schedules?: Record<string, ScheduleState>;
}

export interface ConsumerState {
  /** `"builtin"`, what configured it, such as `"processor"`, or `"remote"`. */
  kind: string;
  /** Up to where it has acted. */
  cursor: number;
  /** How many events behind the head that is. */
  lag: number;
  /** Why its last attempt failed, while it is to be repeated. */
  lastError?: string;
  nextAttemptAt?: string;
  /** Where and why it goes no further. */
  halted?: { offset: number; message: string; at: number };
  /** The stream above that configured it for its children. */
  inheritedFrom?: string;
  /** Names of the work that it has open. */
  work?: readonly string[];
}

export interface ScheduleState {
  schedule: Schedule;
  missed: "fire-once" | "skip";
  /** Of the event that configured it. */
  offset: number;
  /** When it fires next; left out while the stream is paused. */
  nextAt?: string;
  lastAt?: string;
  ticks: number;
}

export interface ProcessorState {
  state: JsonValue;
  /** The last event that is folded in. */
  offset: number;
  version: string;
}

export interface Deletion {
  /** What there was, the path itself first. */
  deleted: { path: string; head: number }[];
  count: number;
}

export function createEventsClient(options: ClientOptions): EventsClient {
  const connection = createConnection(options);
  const { at, get, send } = connection;

  const read = (path: string, options: ReadOptions = {}): EventStream =>
    createEventStream((progress, signal) => readPages(connection, path, options, progress, signal), options.signal);

  const stream = (path: string, options: StreamOptions = {}): EventStream =>
    options.live === false
      ? read(path, options)
      : createEventStream((progress, signal) => readLive(connection, path, options, progress, signal), options.signal);

  function tail(path: string, options?: StreamOptions): EventStream;
  function tail(path: string, options: StreamOptions, onEvent: OnEvent): Promise<void>;
  function tail(path: string, options: StreamOptions = {}, onEvent?: OnEvent): EventStream | Promise<void> {
    const events = stream(path, { ...options, after: options.after ?? "end" });
    return onEvent === undefined ? events : each(events, onEvent);
  }

  function state(path: string, { signal, ...query }: Partial<ProcessorStateOptions> = {}) {
    return get<never>(at("/api/state", path), query, signal);
  }

  return {
    append: createAppend(connection),
    read,
    stream,
    tail,
    state,
    streams: ({ prefix = "", signal } = {}) =>
      listPages(connection, "/api/streams", "streams", { prefix: connection.pathOf(prefix) }, signal),
    children: (path, { deep, signal } = {}) =>
      listPages(connection, at("/api/children", path), "children", { deep }, signal),
    async delete(path, { children, signal } = {}) {
      const route = at("/api/streams", path);
      return readJson(await send(route, { method: "DELETE", query: { children }, signal }), signal);
    },
    projects: ({ signal } = {}) => listPages(connection, "/api/projects", "projects", {}, signal),
    logs: (options = {}) => readLogs(connection, options),
    cursors: cursorsOf(connection),
    secrets: secretsOf(connection),
    pathOf: connection.pathOf,
    withoutPrefix: () => createEventsClient({ ...options, pathPrefix: "" }),
  };
}

function cursorsOf({ at, retry, send }: Connection): CursorsClient {
  const routeOf = (slug: string, path: string) => at(`/api/cursors/${encodeURIComponent(slug)}`, path);
  const ask = (slug: string, path: string, call: Call): Promise<RemoteCursor> =>
    retrying(retry, call.signal, async () => {
      const response = await send(routeOf(slug, path), call);
      return (await readJson<{ cursor: RemoteCursor }>(response, call.signal)).cursor;
    });
  return {
    get: (slug, path, { signal } = {}) => ask(slug, path, { signal }),
    put: (slug, path, cursor, { signal } = {}) =>
      ask(slug, path, { method: "PUT", body: JSON.stringify(cursor), signal }),
    async delete(slug, path, { signal } = {}) {
      await readJson(await send(routeOf(slug, path), { method: "DELETE", signal }), signal);
    },
  };
}

function secretsOf({ get, send }: Connection): SecretsClient {
  const route = "/api/secrets";
  return {
    async set(secret, { signal } = {}) {
      const response = await send(route, { method: "POST", body: JSON.stringify(secret), signal });
      return (await readJson<{ secret: SecretNote }>(response, signal)).secret;
    },
    list: async ({ signal } = {}) => (await get<{ secrets: SecretNote[] }>(route, {}, signal)).secrets,
    async remove(name, { signal } = {}) {
      await readJson(await send(`${route}/${encodeURIComponent(name)}`, { method: "DELETE", signal }), signal);
    },
  };
}

async function each(events: EventStream, onEvent: OnEvent): Promise<void> {
  for await (const event of events) await onEvent(event);
}
