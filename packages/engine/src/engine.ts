/**
 * The engine: streams over a log. It imports no Node module and keeps nothing in module scope; the host passes the
 * directory, the clock and chance, and may run many engines in one process.
 */
import { defaultLimits, type EventSource, type Limits, type RemoteCursor, StreamError } from "@millrace/protocol";
import { createTree, type Tree } from "./builtin/tree.ts";
import { claimAtBirth, claimAtRemoval } from "./builtin/tree-claims.ts";
import { bundlerKind } from "./consumer/bundler.ts";
import { deployedKind } from "./consumer/deployed.ts";
import { inheritedBy } from "./consumer/inheritance.ts";
import { madeSecrets } from "./consumer/made-secrets.ts";
import type { ConsumerKind } from "./consumer/spec.ts";
import { StreamConsumers } from "./consumer/stream-consumers.ts";
import { eventAt, houseOf } from "./consumer/stream-house.ts";
import { subscriptionKind } from "./consumer/subscriptions.ts";
import { transformerKind } from "./consumer/transformers.ts";
import { checkSize, checkSlug, noCursor, noStream, type StoredCursor, showCursor } from "./cursors.ts";
import { contentDigest } from "./digest.ts";
import type { AppendInput, Deleted, Engine, EngineOptions } from "./engine-interface.ts";
import type { Entry } from "./forming.ts";
import { troublesOf } from "./health.ts";
import { createHolders } from "./holders.ts";
import { createIsoTime } from "./iso-time.ts";
import { listen } from "./listen.ts";
import { createMeter, observe } from "./meter.ts";
import { meteredLog } from "./metered-log.ts";
import type { StreamSummary } from "./ports/log.ts";
import { processorStateAt } from "./processor-state.ts";
import { read } from "./read.ts";
import { readSubtree } from "./read-subtree.ts";
import { createSayings } from "./said/sayings.ts";
import { stateOf } from "./state-view.ts";
import type { Stream } from "./stream.ts";
import { Streams } from "./streams.ts";
import { unavailable } from "./unavailable.ts";
import { createWaker, type Waker } from "./waker.ts";
import { createWebhookResponses } from "./webhook-response.ts";

export function createEngine(options: EngineOptions): Engine {
  const { directory, clock, random } = options;
  const limits: Limits = { ...defaultLimits, ...options.limits };
  const onFailure = options.onFailure ?? (() => {});
  let closing = false;
  const isoTime = createIsoTime();
  const meter = createMeter();
  const holders = createHolders(clock, limits.cursorSilenceMs);
  const sayings = createSayings({ clock, random, onFailure, onSaid: (said) => options.onSaid?.(said) });
  /**
   * Who reads now. Each has a signal of its own that its caller and `close` abort. `AbortSignal.any` would join the two
   * as well, but what lives as long as the server would then remember every read there ever was (Node 20 does).
   */
  const readers = new Set<AbortController>();

  const streams = new Streams(limits, (project, path) => ({
    log: meteredLog(directory.log(project, path), meter, clock),
    clock,
    limits,
    holders,
    newStreamId: () => random.id(),
    isoTime,
    claimAtBirth: (now, first) => claimAtBirth(path, now, first),
    claimAtRemoval: (open, now) => claimAtRemoval(path, open, now),
    consumersOf: (stream) => consumersOf(stream),
    lookUp:
      heirs === undefined
        ? undefined
        : (place) => inheritedBy(heirs, place, (above) => streams.get(project, above).sharing()),
    onSharing: () => Promise.all(streams.below(project, path).map((below) => below.inheritAnew())),
    onWork: (due) => tree.owe(due),
    onUnknown: () => tree.lookAgain(),
    onClaim: (wakeAt) => waker.claimed(project, path, wakeAt),
    onCall: (at) => waker.call(project, path, at),
    onResumed() {
      for (const run of [...(resumeListeners.get(project + path) ?? [])]) run();
    },
    onPublished() {
      for (const wake of watchers.get(project) ?? []) wake();
    },
    onTicks(dueAt) {
      for (const at of dueAt) observe(meter.tickSeconds, (clock.now() - at) / 1_000);
    },
    onFailure,
  }));

  /** Who waits for a paused stream, by project and path. */
  const resumeListeners = new Map<string, Set<() => void>>();
  const { expressions, secrets } = options;
  const kinds = kindsOf(options);
  /** Those that streams above may configure for the streams below. */
  const heirs = kinds.find(({ inherits }) => inherits !== undefined);
  const responses = expressions === undefined ? undefined : createWebhookResponses(expressions, clock);

  function consumersOf(stream: Stream): StreamConsumers | undefined {
    if (kinds.length === 0) return undefined;
    const { project, path } = stream;
    const house = houseOf(stream, {
      random,
      limits,
      meter,
      onFailure,
      loggerOf: (speaking) => sayings.loggerOf({ project, path, ...speaking }),
      async eventOf(of, offset) {
        const other = streams.get(project, of);
        await other.load();
        return eventAt(other, offset);
      },
      appendTo: (to, request) => streams.get(project, to).append(request),
      callMe: (at) => waker.call(project, path, at),
      onResumed: (of, run) => listen(resumeListeners, project + of, run),
    });
    return new StreamConsumers(kinds, house);
  }

  const waker: Waker = createWaker({
    clock,
    wakes: (query) => directory.wakes(query),
    wake: (project, path, at) => streams.get(project, path).wake(at),
    onFailure,
  });

  const tree: Tree = createTree({
    clock,
    random,
    onFailure,
    append: (project, path, request) => streams.get(project, path).append(request),
    due: (query) => directory.due(query),
    async settle(due, to) {
      if (!(await directory.settle(due.head, due.claim.kind, to))) return;
      const stream = streams.peek(due.project, due.path);
      if (stream?.streamId === due.streamId) stream.claim = to;
    },
  });
  tree.start();
  waker.start();

  /** Who reads whole subtrees live, by project. */
  const watchers = new Map<string, Set<() => void>>();

  /** Counted before anything is waited for, so that the limit holds for readers who come all at once. */
  function enter(signal: AbortSignal): { signal: AbortSignal; leave(): void } {
    if (readers.size >= limits.readersPerProcess) {
      throw tooManyReaders(limits.readersPerProcess, "readers of this server");
    }
    const reader = new AbortController();
    const abort = () => reader.abort();
    readers.add(reader);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort);
    return {
      signal: reader.signal,
      leave() {
        readers.delete(reader);
        signal.removeEventListener("abort", abort);
      },
    };
  }

  /** @throws StreamError `unavailable` when the log is closed or about to be */
  function expectRunning(): void {
    if (closing) throw unavailable("The server is stopping.");
  }

  async function remove(project: string, path: string): Promise<Deleted | undefined> {
    expectRunning();
    const head = await streams.get(project, path).remove();
    return head === undefined ? undefined : { path, head };
  }

  return {
    limits,

    append(project, path, inputs, { bytes, source }) {
      expectRunning();
      const entries = inputs.map((input) => toEntry(input, source));
      const appending = streams.get(project, path).append({ entries, fromServer: false, bytes });
      meter.appends++;
      return appending;
    },

    answerTo(project, path, appended) {
      const stream = streams.peek(project, path);
      return stream === undefined ? undefined : responses?.answerTo(stream, appended);
    },

    async signingSecrets(project, path, appended) {
      const stream = streams.peek(project, path);
      return stream === undefined || secrets === undefined ? {} : madeSecrets(stream, appended, secrets);
    },

    async *read(project, path, request, signal) {
      expectRunning();
      const stream = streams.get(project, path);
      if (request.live && stream.tail.readers >= limits.readersPerStream) {
        throw tooManyReaders(limits.readersPerStream, "live readers of this stream");
      }
      const reader = enter(signal);
      meter.reads++;
      if (request.live) stream.tail.readers++;
      try {
        yield* read(stream, request, reader.signal);
      } finally {
        reader.leave();
        if (request.live) stream.tail.readers--;
      }
    },

    async *readSubtree(project, prefix, request, signal) {
      expectRunning();
      const reader = enter(signal);
      meter.reads++;
      try {
        const subtree = {
          directory,
          clock,
          project,
          prefix,
          onChange: (wake: () => void) => listen(watchers, project, wake),
        };
        yield* readSubtree(subtree, request, reader.signal);
      } finally {
        reader.leave();
      }
    },

    async *readSaid(project, request, signal) {
      expectRunning();
      const reader = enter(signal);
      try {
        yield* sayings.read(project, request, reader.signal);
      } finally {
        reader.leave();
      }
    },

    async state(project, path) {
      expectRunning();
      return stateOf(await living(streams.get(project, path)));
    },

    async processorState(project, path, slug, at) {
      expectRunning();
      const stream = await living(streams.get(project, path));
      return processorStateAt(stream, slug, at);
    },

    async cursor(project, path, slug) {
      expectRunning();
      checkSlug(slug);
      const stream = await living(streams.get(project, path));
      const stored = stream.cursors.get(slug);
      if (stored === undefined) throw noCursor(slug, path);
      return shown(stream, slug, stored);
    },

    async putCursor(project, path, slug, input) {
      expectRunning();
      checkSlug(slug);
      checkSize(input, limits);
      const stream = streams.get(project, path);
      return shown(stream, slug, await stream.putCursor(slug, input));
    },

    async deleteCursor(project, path, slug) {
      expectRunning();
      checkSlug(slug);
      await streams.get(project, path).putCursor(slug, undefined);
    },

    async list(query) {
      expectRunning();
      return directory.list(query);
    },

    async projects(query) {
      expectRunning();
      return directory.projects(query);
    },

    async delete(project, path, { children }) {
      const deleted: Deleted[] = [];
      if (children) {
        // What was born is told first, and then what that brought into being: so everything is here to be deleted, and
        // no late news of a birth brings an ancestor back.
        await tree.told();
        await tree.told();
        for (let cursor: string | undefined; ; ) {
          expectRunning();
          const page = await directory.list({
            project,
            prefix: path,
            depth: "all",
            limit: 1_000,
            ...(cursor ? { cursor } : {}),
          });
          const below = page.streams.filter((stream: StreamSummary) => stream.path !== path);
          const results = await Promise.all(below.map((stream) => remove(project, stream.path)));
          for (const result of results) if (result !== undefined) deleted.push(result);
          if (page.next === null) break;
          cursor = page.next;
        }
      }
      const own = await remove(project, path);
      return own === undefined ? deleted : [own, ...deleted];
    },

    meter,
    gauges: () => ({
      openStreams: streams.size,
      readers: readers.size,
      ...streams.waiting(),
      ...streams.consumerGauges(),
      waitingWakes: waker.waiting(),
      waitingAnnouncements: tree.waiting(),
    }),
    troubles: () => troublesOf({ meter, clock, directory, stopping: closing }),
    ...(options.sandbox?.isolation === undefined ? {} : { isolation: options.sandbox.isolation }),

    async close() {
      closing = true;
      for (const reader of readers) reader.abort();
      await waker.stop();
      await streams.stopConsumers();
      sayings.close();
      await tree.stop();
      // What came while others ended is written down as not begun, too.
      await streams.stopConsumers();
      await streams.settled();
      await directory.close();
    },
  };
}

function kindsOf(options: EngineOptions): readonly ConsumerKind[] {
  const { expressions, outbound, secrets, sandbox, bundler, consumers = [] } = options;
  const deployed = sandbox === undefined ? [] : [deployedKind(sandbox)];
  const bundled = bundler === undefined ? [] : [bundlerKind(bundler)];
  const others = [...deployed, ...bundled, ...consumers];
  if (expressions === undefined) return others;
  const pushing = outbound === undefined || secrets === undefined ? [] : [{ expressions, outbound, secrets }];
  return [...pushing.map(subscriptionKind), transformerKind(expressions), ...others];
}

function toEntry({ event, idempotencyKey, sentText }: AppendInput, source: EventSource | undefined): Entry {
  const entry: Entry = { event, digest: "" };
  if (source !== undefined) entry.source = source;
  if (idempotencyKey !== undefined) {
    entry.key = `c:${idempotencyKey}`;
    entry.digest = contentDigest(event, sentText);
  }
  return entry;
}

function shown(stream: Stream, slug: string, stored: StoredCursor): RemoteCursor {
  const { streamId = "", path, holders } = stream;
  const { runtimeId } = stored;
  return showCursor(path, slug, stored, holders.silentMs({ streamId, slug, runtimeId }));
}

async function living(stream: Stream): Promise<Stream> {
  await stream.load();
  if (stream.streamId !== undefined) return stream;
  throw noStream(stream.path);
}

function tooManyReaders(limit: number, unit: string): StreamError<"rate_limited"> {
  return new StreamError("rate_limited", `There are ${limit} ${unit} already. Read in pages, or close some.`, {
    limit,
    unit,
  });
}
