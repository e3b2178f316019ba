/**
 * Transformers, subscriptions into another stream, webhooks and WebSockets, in a server that is killed in the middle of
 * all of them. What it insists on: for each event what the transformer makes of it, and that in the other stream, once
 * and in the order of its source; at the receiver and at the peer every event at least once and first in order; and
 * nobody is halted.
 */
import { isUnderPrefix, type StreamEvent } from "@millrace/protocol";
import { createSeededRandom } from "@millrace/testing";
import { createReceivers } from "../../packages/millrace/test/receivers.ts";
import { append, breakerOff, builtin, getJson, postJson, readAll } from "../processes/http.ts";
import type { ServerProcess } from "../processes/server-process.ts";
import { eventually, type Workload } from "./harness.ts";
import { createSender, type Sender, sendUntilDead } from "./keyed.ts";
import { createPushPeer } from "./push-peer.ts";
import { type Arrival, createPushReceiver, timeoutSeconds } from "./push-receiver.ts";

const project = "pushing";
const paths = ["/pushing/0", "/pushing/1", "/pushing/2"];
const gathered = "/gathered";
/** Each makes two more, and each of these is sent into another stream and to the receiver. */
const ordersOfRound = 8;
/** So often everything is awaited; in between a backlog is taken over from one crash to the next. */
const drainedEvery = 4;
const drainMs = 60_000;

export interface PushWorkload extends Workload {
  counts(): {
    orders: number;
    misbehaved: number;
    /** By webhook, and over WebSockets. */
    posted: Came;
    sent: Came & { underWayMost: number };
  };
  dispose(): Promise<void>;
}

interface Came {
  arrivals: number;
  repeats: number;
}

interface Lane {
  path: string;
  sender: Sender;
}

export async function createPushWorkload(seed: number): Promise<PushWorkload> {
  const receiver = createPushReceiver(createSeededRandom(seed));
  const receivers = createReceivers();
  const { url } = await receivers.listen(receiver.receive);
  const peer = createPushPeer(createSeededRandom(seed + 1));
  const { url: peerUrl } = await receivers.accept(peer.accept);
  const lanes = paths.map((path): Lane => ({ path, sender: createSender(project, path) }));
  const counts = { orders: 0, posted: { arrivals: 0, repeats: 0 }, sent: { arrivals: 0, repeats: 0 } };

  return {
    name: "pushing",
    counts: () => ({
      ...counts,
      sent: { ...counts.sent, underWayMost: peer.underWayMost() },
      misbehaved: receiver.misbehaved() + peer.misbehaved(),
    }),
    dispose: () => receivers.dispose(),

    async prepare(server) {
      await append(server.url, gathered, breakerOff, { "x-project-slug": project });
      for (const { path } of lanes) {
        await configure(server, path);
        receiver.trust(path, await subscribe(server, path, "push", "webhook", new URL(path, url).href));
        peer.trust(path, await subscribe(server, path, "live", "websocket", new URL(path, peerUrl).href));
      }
    },

    async act(server, round, signal) {
      const acting = lanes.map(({ sender }) => {
        let left = ordersOfRound;
        const stop = new AbortController();
        signal.addEventListener("abort", () => stop.abort());
        return sendUntilDead(sender, { server, round, signal: stop.signal }, () => {
          if (--left === 0) stop.abort();
          return { type: "ordered", payload: { text: "x".repeat(round.random.integer(2_000)) } };
        });
      });
      await Promise.all(acting);
    },

    async recover(server, { number }) {
      for (const { sender } of lanes) await sender.resend(server);
      if (number % drainedEvery === 0) await drain(server);
      receiver.judge();
      peer.judge();
    },

    async verify(server) {
      await drain(server);
      receiver.judge();
      peer.judge();
      const into = await readAll(server.url, gathered, project);
      for (const { path } of lanes) {
        const events = await readAll(server.url, path, project);
        verifyHistory(path, events);
        counts.orders += verifyTransformed(path, events);
        verifyGathered(path, events, into);
        count(counts.posted, verifyArrivals(path, "push", events, receiver.arrivals(path)));
        count(counts.sent, verifyArrivals(path, "live", events, peer.arrivals(path)));
      }
    },
  };
}

async function configure(server: ServerProcess, path: string): Promise<void> {
  const transform = `[1, 2].{"type": "copied", "payload": {"part": $, "length": $length($$.payload.text)}}`;
  const transformer = { slug: "copy", matcher: 'type = "ordered"', transform };
  const gather = { slug: "gather", type: "stream", path: gathered, jsonataFilter: 'type = "copied"' };
  const events = [
    breakerOff,
    { type: builtin("jsonata-transformer-configured"), payload: transformer },
    { type: builtin("subscription/configured"), payload: gather },
  ];
  await append(server.url, path, events, { "x-project-slug": project });
}

/** The secret with which it signs. */
async function subscribe(
  server: ServerProcess,
  path: string,
  slug: string,
  type: "webhook" | "websocket",
  callbackUrl: string,
): Promise<string> {
  const jsonataFilter = 'type in ["ordered", "copied"]';
  const payload = { slug, type, callbackUrl, jsonataFilter, timeoutSeconds };
  const configured = { type: builtin("subscription/configured"), payload };
  const answer = await postJson(server.url, path, configured, { "x-project-slug": project });
  return ((await answer.json()) as { signingSecret: string }).signingSecret;
}

async function drain(server: ServerProcess): Promise<void> {
  const consumers = ["copy", "gather", "push", "live"];
  for (const path of paths) {
    await eventually(
      `the consumers of ${path}`,
      async () => {
        const state = await getJson(server.url, `/api/state${path}`, project);
        const behind = consumers.map((slug) => state.consumers[slug]).filter(({ lag }) => lag > 0);
        return behind.length === 0 ? undefined : JSON.stringify(state.consumers);
      },
      drainMs,
    );
  }
}

/** Nobody gave up, and only deliveries failed, each said once. */
function verifyHistory(path: string, events: readonly StreamEvent[]): void {
  const halts = events.filter(({ type }) => type.endsWith("halted") || type.endsWith("event-parked"));
  const errors = events.filter(({ type }) => type === builtin("error-occurred")).map(({ payload }) => aboutOf(payload));
  const strange = errors.filter(({ slug, offset }, index) => {
    if (slug !== "push" && slug !== "live") return true;
    return errors.some((other, at) => at < index && other.slug === slug && other.offset === offset);
  });
  if (halts.length + strange.length > 0) throw new Error(`${path}: ${JSON.stringify([halts, strange])}`);
}

/** Two of each, right in number and in order. @returns how many orders there were */
function verifyTransformed(path: string, events: readonly StreamEvent[]): number {
  const orders = events.filter(({ type }) => type === "ordered");
  const expected = orders.flatMap(({ offset, payload }) => {
    const { length } = (payload as { text: string }).text;
    return [1, 2].map((part) => ({ part, length, cause: offset }));
  });
  const copies = events.filter(({ type }) => type === "copied");
  const made = copies.map(({ payload, source }) => ({ ...(payload as object), cause: source?.cause?.offset }));
  expectSame(`${path}: the transformer made`, made, expected);
  return orders.length;
}

function verifyGathered(path: string, events: readonly StreamEvent[], into: readonly StreamEvent[]): void {
  const told = into.filter(({ type, source }) => !isUnderPrefix(type) && source?.cause?.streamPath === path);
  const shown = told.map(({ type, payload, source }) => ({ type, payload, offset: source?.cause?.offset }));
  const copies = events.filter(({ type }) => type === "copied");
  const expected = copies.map(({ type, payload, offset }) => ({ type, payload, offset }));
  expectSame(`${path}: into ${gathered} went`, shown, expected);
}

/** Every event was taken, none came before all in front of it were, and each came as it is stored. */
function verifyArrivals(
  path: string,
  slug: string,
  events: readonly StreamEvent[],
  arrivals: readonly Arrival[],
): readonly Arrival[] {
  const { streamId } = (events[0] as StreamEvent).payload as { streamId: string };
  const wanted = events.filter(({ type }) => type === "ordered" || type === "copied");
  const expected = wanted.map((event) => {
    return { id: `${streamId}.${event.offset}.${slug}`, offset: event.offset, body: JSON.stringify(event) };
  });
  const taken = new Map<string, object>();
  for (const { id, offset, after, body, taken: isTaken } of arrivals) {
    const missing = expected.find((event) => event.offset < offset && !taken.has(event.id));
    if (after >= offset || missing !== undefined) {
      throw new Error(`${path}: ${offset} came "after ${after}", but ${missing?.offset} was not taken`);
    }
    if (isTaken && !taken.has(id)) taken.set(id, { id, offset, body });
  }
  expectSame(`${path}: ${slug} took`, [...taken.values()], expected);
  return arrivals;
}

function count(came: Came, arrivals: readonly Arrival[]): void {
  came.arrivals += arrivals.length;
  came.repeats += arrivals.length - new Set(arrivals.map(({ id }) => id)).size;
}

function expectSame(what: string, shown: readonly unknown[], expected: readonly unknown[]): void {
  const at = expected.findIndex((value, index) => JSON.stringify(value) !== JSON.stringify(shown[index]));
  if (at < 0 && shown.length === expected.length) return;
  const place = at < 0 ? expected.length : at;
  const [here, there] = [shown[place], expected[place]].map((value) => JSON.stringify(value)?.slice(0, 300));
  throw new Error(`${what} ${shown.length} for ${expected.length}; at ${place} ${here} instead of ${there}`);
}

function aboutOf(payload: unknown): { slug: string; offset: number } {
  return (payload as { about: { slug: string; offset: number } }).about;
}
