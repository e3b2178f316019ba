/** What clients and operators do about transformers and subscriptions, and what befalls receivers. */
import type { JsonObject } from "@millrace/protocol";
import { type Action, append, fact, paths } from "./actions.ts";
import { moods, receivers } from "./network.ts";
import { matchers, transforms } from "./rules.ts";
import type { Server } from "./server.ts";
import type { Simulation } from "./simulation.ts";

const transformerSlugs = ["shouter", "echo"];
const subscriptionSlugs = ["hook", "audit", "up"];
const firstHand = "type = 'ping' and $not($exists(source.cause))";

export const pushActions: readonly Action[] = [
  { name: "configure transformer", weight: 4, run: configureTransformer },
  { name: "configure webhook", weight: 7, run: configurePush("webhook") },
  { name: "configure WebSocket", weight: 5, run: configurePush("websocket") },
  { name: "configure forward", weight: 4, run: configureForward },
  {
    name: "remove transformer",
    weight: 0.7,
    run: (s, server, path) => fact(s, server, path, "jsonata-transformer-removed", { slug: transformerOf(s) }),
  },
  {
    name: "remove subscription",
    weight: 1,
    run: (s, server, path) => fact(s, server, path, "subscription/removed", { slug: subscriptionOf(s) }),
  },
  { name: "resume transformer", weight: 1.5, run: resume("jsonata-transformer-resumed", transformerOf) },
  { name: "resume subscription", weight: 3, run: resume("subscription/resumed", subscriptionOf) },
  {
    name: "replay",
    weight: 2,
    run(s, server, path) {
      const payload = { slug: subscriptionOf(s), offset: 1 + s.random.integer(40) };
      fact(s, server, path, "subscription/event-replay-requested", payload);
    },
  },
  {
    name: "mood",
    weight: 7,
    run({ random, network, say }) {
      const [receiver, mood] = [random.pick(receivers), random.pick(moods)];
      say(`${receiver} is ${mood} from now on`);
      network.moods.set(receiver, mood);
    },
  },
];

function transformerOf({ random }: Simulation): string {
  return random.pick(transformerSlugs);
}

function subscriptionOf({ random }: Simulation): string {
  return random.pick(subscriptionSlugs);
}

function configureTransformer(s: Simulation, server: Server, path: string): void {
  const slug = transformerOf(s);
  // What one makes of an event the other may rewrite; never the other way round as well.
  const [matcher, made] = slug === "echo" ? ["type = 'shouted'", "echoed"] : [aboutPings(s), "shouted"];
  const transform = s.random.pick(
    Object.keys(transforms).filter((text) => text.includes(made) || text.includes("heard")),
  );
  fact(s, server, path, "jsonata-transformer-configured", { slug, matcher, transform });
}

function aboutPings({ random }: Simulation): string {
  return random.pick(Object.keys(matchers).filter((text) => text.includes("'ping'") && !text.includes("pong")));
}

function configurePush(type: "webhook" | "websocket"): Action["run"] {
  return (s, server, path) => {
    const { random } = s;
    // Each version has an address of its own, so that it is known of which one a request is.
    const callbackUrl = `${random.pick(receivers)}/?version=${++s.counter}`;
    const filter = random.pick([undefined, ...Object.keys(matchers)]);
    const transform = random.integer(4) === 0 ? random.pick(Object.keys(transforms)) : undefined;
    const timeout = random.pick([undefined, undefined, 5, 60]);
    subscribe(s, server, path, {
      type,
      callbackUrl,
      ...(filter === undefined ? {} : { jsonataFilter: filter }),
      ...(transform === undefined ? {} : { jsonataTransform: transform }),
      ...(timeout === undefined ? {} : { timeoutSeconds: timeout }),
    });
  };
}

/** Only what came from outside goes on, so that nothing goes in a circle. */
function configureForward(s: Simulation, server: Server, path: string): void {
  const { random } = s;
  const to = random.pick([...paths, "/inbox"].filter((other) => other !== path));
  const transform = random.integer(2) === 0 ? random.pick(Object.keys(transforms)) : undefined;
  subscribe(s, server, path, {
    type: "stream",
    path: to,
    jsonataFilter: firstHand,
    ...(transform === undefined ? {} : { jsonataTransform: transform }),
  });
}

function subscribe(s: Simulation, server: Server, path: string, destination: JsonObject): void {
  const startFrom = s.random.pick([undefined, undefined, undefined, "start", "end", 1 + s.random.integer(30)] as const);
  const payload = { slug: subscriptionOf(s), ...destination, ...(startFrom === undefined ? {} : { startFrom }) };
  fact(s, server, path, "subscription/configured", payload);
}

function resume(name: string, slugOf: (s: Simulation) => string): Action["run"] {
  return (s, server, path) => {
    const from = s.random.pick(["cursor", "cursor", "head", 1 + s.random.integer(20)] as const);
    append(s, server, path, [
      { type: `https://events.iterate.com/events/stream/${name}`, payload: { slug: slugOf(s), from } },
    ]);
  };
}
