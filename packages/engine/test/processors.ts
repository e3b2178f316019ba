/** What the tests of deployed processors share: a world whose scripts are a table, and time that passes in steps. */
import { defineProcessor, type HookArguments, type Processor, type StreamEvent } from "@millrace/protocol";
import type { Configuration } from "../src/consumer/processors.ts";
import { processorKind } from "../src/consumer/processors.ts";
import { builtin, createWorld, untilQuiet, type World, type WorldOptions } from "./world.ts";

// biome-ignore lint/suspicious/noExplicitAny: processors of all kinds of state
export type AnyProcessor = Processor<any>;

export type Scripts = Record<string, AnyProcessor | ((configuration: Configuration) => AnyProcessor)>;

export function worldOf(scripts: Scripts, options: WorldOptions = {}): World {
  const load = async (configuration: Configuration) => {
    const processor = scripts[configuration.payload.script as string];
    if (processor === undefined) throw new Error(`there is no script ${configuration.payload.script}`);
    return typeof processor === "function" ? processor(configuration) : processor;
  };
  return createWorld({ ...options, consumers: [processorKind(load)] });
}

/** The server after one that ended, on the same store. */
export function after(world: World, scripts: Scripts, options: WorldOptions = {}): World {
  return worldOf(scripts, { directory: world.directory, clock: world.clock, ...options });
}

/** A world that can end without a word: from then on nothing of it reaches the store. */
export function mortal(scripts: Scripts, options: WorldOptions = {}): World & { die(): void } {
  let dead = false;
  const world = worldOf(scripts, {
    ...options,
    intercept: (_call, proceed) => (dead ? new Promise(() => {}) : proceed()),
  });
  return Object.assign(world, {
    die() {
      dead = true;
    },
  });
}

export function configured(slug: string, script = slug, extra: object = {}) {
  return { type: builtin("dynamic-worker/configured"), payload: { slug, script, ...extra } };
}

export const removed = (slug: string) => ({ type: builtin("dynamic-worker/removed"), payload: { slug } });

export const resumedFrom = (slug: string, from: "cursor" | "head" | number) => ({
  type: builtin("dynamic-worker/resumed"),
  payload: { slug, from },
});

/** A processor that keeps nothing and acts on one type. */
export function acting(slug: string, type: string, act: (args: HookArguments<number>) => void | Promise<void>) {
  return defineProcessor<number>({
    slug,
    initialState: 0,
    reduce: ({ state }) => state + 1,
    async afterAppend(args) {
      if (args.event.type === type) await act(args);
    },
  });
}

const anything = { "~standard": { version: 1, vendor: "test", validate: (value: unknown) => ({ value }) } } as const;

/** Of a processor that hears of these types alone, whatever their payloads are. */
export const schemasOf = (types: readonly string[]) => Object.fromEntries(types.map((type) => [type, anything]));

export async function pass(world: World, milliseconds: number, step = 500): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += step) {
    world.clock.advance(Math.min(step, milliseconds - passed));
    await untilQuiet();
  }
}

export async function ofType(world: World, type: string, path = "/s"): Promise<StreamEvent[]> {
  return (await world.events(path)).filter((event) => event.type === type);
}

export async function errorsIn(world: World, path = "/s"): Promise<string[]> {
  const errors = await ofType(world, builtin("error-occurred"), path);
  return errors.map(({ payload }) => (payload as { message: string }).message);
}

/** A promise with its ends in the hand of the test. */
export function gate(): { opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
