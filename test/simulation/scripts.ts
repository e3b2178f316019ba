/**
 * The processors under test. All fold the same, so that a state can be compared with a fresh fold; each acts in its own
 * way. What they append carries an id made of everything that a derived key is made of: it may be in the log once.
 */
import type { CatchUpArguments, HookArguments, Processor, StreamEvent } from "@millrace/protocol";

export interface FoldState {
  count: number;
  hash: number;
}

export const initialFold: FoldState = { count: 0, hash: 0 };

export function foldState({ count, hash }: FoldState, { offset, type }: StreamEvent): FoldState {
  return { count: count + 1, hash: (Math.imul(hash, 31) + offset * 7 + type.length) | 0 };
}

/** Where a processor stands, and what it tells the observer, who survives crashes. */
export interface Seat {
  path: string;
  slug: string;
  epoch: number;
  /** Offset of the configuration: what one version had decided by half, another one decides anew. */
  configuredAt: number;
  /** Waits until the simulation lets it go on; rejects when the simulation wants a failure. */
  gate(what: string): Promise<void>;
  began(event: StreamEvent, state: FoldState): void;
  returned(event: StreamEvent): void;
  workAsked(name: string, offset: number): void;
  workBegan(name: string, offset: number): void;
  /** Neither itself nor a later hook of its processor ended it: by a pause, a halt, a stop, another version. */
  workCut(name: string, offset: number): void;
  /** It is done, or settled. */
  workEnded(name: string, offset: number): void;
}

type Arguments = HookArguments<FoldState>;
type Act = (seat: Seat, args: Arguments) => Promise<void> | void;

interface Script {
  act: Act;
  /** What has to be in the log once it has acted on an event, in the order of its appends. */
  appends(event: StreamEvent): { type: string; to?: string }[];
  /** Its reducer throws at events of this type. */
  poison?: string;
  /** It has schemas for these, and hears of nothing else. */
  types?: readonly string[];
  catchUp?(seat: Seat, args: CatchUpArguments<FoldState>): Promise<void>;
}

const pong = [{ type: "pong" }];
const none: { type: string; to?: string }[] = [];
const isPing = ({ type }: StreamEvent) => type === "ping";

export const scripts: Readonly<Record<string, Script>> = {
  counter: {
    appends: (event) => (isPing(event) || event.type === "relayed" ? pong : none),
    act: appendAll,
  },
  slow: {
    appends: (event) => (isPing(event) ? [...pong, ...pong] : none),
    async act(seat, args) {
      if (!isPing(args.event)) return;
      await args.append(made(seat, args.event, 0, "pong"));
      await seat.gate("slow");
      await args.append(made(seat, args.event, 1, "pong"));
    },
  },
  relay: {
    appends: (event) =>
      isPing(event)
        ? [
            { type: "relayed", to: "./child" },
            { type: "relayed", to: "/shared" },
          ]
        : none,
    act: appendAll,
  },
  flaky: {
    appends: (event) => (isPing(event) ? pong : none),
    async act(seat, args) {
      if (!isPing(args.event)) return;
      await seat.gate("flaky");
      await appendAll(seat, args);
    },
  },
  /** Passes over all but pings. */
  typed: { appends: (event) => (isPing(event) ? pong : none), act: appendAll, types: ["ping"] },
  poisoned: { appends: (event) => (isPing(event) ? pong : none), act: appendAll, poison: "poison" },
  /** Ends only when it is aborted. */
  stuck: {
    appends: (event) => (isPing(event) ? pong : none),
    async act(seat, args) {
      if (args.event.type === "jam") await aborted(args.signal);
      await appendAll(seat, args);
    },
  },
  /** Not even then. */
  deaf: {
    appends: (event) => (isPing(event) ? pong : none),
    async act(seat, args) {
      if (args.event.type === "jam") await new Promise<void>(() => {});
      await appendAll(seat, args);
    },
  },
  model: { appends: () => none, act: beginWork },
  decider: {
    appends: () => none,
    act: beginWork,
    async catchUp({ path, slug, epoch, configuredAt, workEnded }, { append, interrupted }) {
      for (const { name, offset } of interrupted?.work ?? []) {
        const id = `${path}|${slug}|${epoch}|${configuredAt}|${offset}|${name}|settled`;
        await append({ type: "settled", payload: { id } });
        workEnded(name, offset);
      }
    },
  },
};

async function appendAll(seat: Seat, { event, append }: Arguments): Promise<void> {
  for (const [n, { type, to }] of (scripts[seat.slug] as Script).appends(event).entries()) {
    const input = made(seat, event, n, type);
    await append(to === undefined ? input : { event: input, path: to });
  }
}

function made(seat: Seat, event: StreamEvent, n: number, type: string) {
  return { type, payload: { id: idOfAppend(seat, event, n) } };
}

export function idOfAppend(
  { path, slug, epoch }: Pick<Seat, "path" | "slug" | "epoch">,
  event: StreamEvent,
  n: number,
) {
  return `${path}|${slug}|${epoch}|${event.offset}|${n}`;
}

function beginWork(seat: Seat, { event, waitUntil, abort }: Arguments): void {
  const { offset, payload } = event;
  if (event.type === "stop") abort(String((payload as { name?: string }).name));
  if (!isPing(event)) return;
  const name = `work-${offset}`;
  seat.workAsked(name, offset);
  waitUntil(name, async ({ signal, append }) => {
    seat.workBegan(name, offset);
    signal.addEventListener("abort", () => {
      if (!ownEnds.test(signal.reason.message)) seat.workCut(name, offset);
    });
    const id = `${seat.path}|${seat.slug}|${seat.epoch}|${offset}|${name}`;
    await append({ type: "started", payload: { id: `${id}|started` } });
    // Every third one hears of nothing, and is left behind.
    const gate = seat.gate("work");
    await (offset % 3 === 0 ? gate : Promise.race([gate, aborted(signal)]));
    await append({ type: "done", payload: { id: `${id}|done` } });
    seat.workEnded(name, offset);
  });
}

/** Wished for by a hook; or told as an error, which comes when it comes. */
const ownEnds = /^The work (was aborted|ran for)/;

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

export function isFor({ type }: StreamEvent, slug: string): boolean {
  return scripts[slug]?.types?.includes(type) ?? true;
}

const anything = {
  "~standard": { version: 1, vendor: "simulation", validate: (value: unknown) => ({ value }) },
} as const;

/** A processor as the engine loads it. `seat.slug` is the name of its script. */
export function processorOf(seat: Seat): Processor<FoldState> {
  const script = scripts[seat.slug] as Script;
  return {
    slug: seat.slug,
    initialState: initialFold,
    ...(script.types && { events: Object.fromEntries(script.types.map((type) => [type, anything])) }),
    reduce({ state, event }) {
      if (event.type === script.poison) throw new Error("poison");
      return foldState(state, event);
    },
    async afterAppend(args) {
      seat.began(args.event, args.state);
      await script.act(seat, args);
      if (!args.signal.aborted) seat.returned(args.event);
    },
    ...(script.catchUp === undefined ? {} : { afterCatchUp: (args) => script.catchUp?.(seat, args) }),
  };
}
