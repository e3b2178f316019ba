/** What the tests of transformers and subscriptions share: their events, and a world that has them. */
import { mayBeSentTo } from "@millrace/protocol";
import { createInProcessExpressions } from "@millrace/testing";
import type { Outbound } from "../src/ports/outbound.ts";
import { SecretError, type Secrets } from "../src/ports/secrets.ts";
import { builtin, createWorld, type World, type WorldOptions } from "./world.ts";

export function transformer(slug: string, matcher: string, transform: string) {
  return { type: builtin("jsonata-transformer-configured"), payload: { slug, matcher, transform } };
}

export const transformerEvent = (name: "removed" | "resumed", payload: object) => ({
  type: builtin(`jsonata-transformer-${name}`),
  payload: payload as never,
});

export function subscription(slug: string, extra: object) {
  return { type: builtin("subscription/configured"), payload: { slug, ...extra } as never };
}

export const subscriptionEvent = (name: "removed" | "resumed" | "event-replay-requested", payload: object) => ({
  type: builtin(`subscription/${name}`),
  payload: payload as never,
});

export const paused = { type: builtin("paused"), payload: {} };
export const resumed = { type: builtin("resumed"), payload: {} };
/** Many events at once are no loop here. */
export const breakerOff = {
  type: builtin("circuit-breaker-configured"),
  payload: { burstCapacity: 0, refillRatePerMinute: 1 },
};

/** For subscriptions that never leave the server. */
export const noOutbound: Outbound = {
  send: () => Promise.reject(new Error("nothing may leave the server here")),
  connect: () => Promise.reject(new Error("nothing may leave the server here")),
  close: async () => {},
};
/** Secrets that are kept from nobody, pinned all the same. */
export function plainSecrets(values: Record<string, { value: string; hosts: string[] }> = {}): Secrets {
  return {
    set: () => Promise.reject(new Error("these are what they are")),
    list: async () => [],
    remove: async () => false,
    async reveal(_, name, url) {
      const secret = values[name];
      if (secret === undefined) throw new SecretError(`There is no secret ${name}.`);
      if (!mayBeSentTo(secret.hosts, url)) throw new SecretError(`The secret ${name} may not be sent there.`);
      return secret.value;
    },
    derive: async (purpose) => new TextEncoder().encode(purpose.join("/").padEnd(32).slice(-32)),
  };
}

/** A world with expressions in its own process; without outbound and secrets there are no subscriptions. */
export function pushingWorld(ports: WorldOptions["ports"] = {}, options: WorldOptions = {}): World {
  return createWorld({ ...options, ports: { expressions: createInProcessExpressions(), ...ports } });
}

/** Worlds one after the other on one store: after a crash the log never answers the one before again. */
export function crashes(make: (options: WorldOptions) => World): { readonly world: World; crash(): void } {
  let life = { ended: false };
  const begin = (options: WorldOptions) => {
    const own = { ended: false };
    life = own;
    const never = () => new Promise<never>(() => {});
    return make({ ...options, intercept: (_, proceed) => (own.ended ? never() : proceed()) });
  };
  let world = begin({});
  return {
    get world() {
      return world;
    },
    crash() {
      life.ended = true;
      world = begin({ directory: world.directory, clock: world.clock });
    },
  };
}
