/** `millrace deploy`: a processor from a file, npm packages and all, becomes an event that a stream runs. */
import { type EventsClient, isMillraceError, type JsonObject, type StreamEvent } from "@millrace/sdk";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import type { Bundle } from "./deploy/bundle.ts";
import type { Exported } from "./deploy/exported.ts";
import type { Outcome } from "./deploy/wait-until-running.ts";
import { environmentOf, looksLikeKey } from "./environment-option.ts";
import { createOutput, leaveWith, note, writeOut } from "./output.ts";
import { placeOf } from "./place.ts";
import { processorsOf } from "./processor-list.ts";
import { UsageError } from "./usage.ts";

const options = {
  path: { type: "string", value: "PATH", help: "the stream that it works on" },
  slug: { type: "string", value: "SLUG", help: "its name in the stream, instead of the one in the code" },
  env: { type: "string", multiple: true, value: "NAME[=VALUE]", help: "what hooks find in env; NAME alone: from here" },
  children: { type: "boolean", help: "everything below the stream as well, also what is born later" },
  "start-from": { type: "string", value: "PLACE", help: "start, end or an offset, again with each deployment" },
  "no-wait": { type: "boolean", help: "do not wait until it runs" },
  ...clientOptions,
} as const;

/** How long it may take until it runs; a long history has to be folded for it. */
const patienceMs = 60_000;

export const deployCommand: Command = {
  usage: "deploy <file> --path PATH [options]",
  about: `Bundles the processor that the file exports (TypeScript or JavaScript, default export) with all that it imports,
and appends it as "dynamic-worker/configured": from then on the server runs it, in a sandbox. The same slug again
replaces it and goes on from its cursor. Waits until it runs, and says which version (the offset of that event) and
how large it is; exit code 1 if it does not. Where startFrom stands in the code, it is for the first deployment.
What is in --env can be read in the stream: give a key as {{secret:NAME}}, see millrace secrets.`,
  options,
  examples: [
    "millrace deploy ping-pong.ts --path /me/pings",
    "millrace deploy agent.ts --path /agents --children --env MODEL=small --env 'API_KEY={{secret:API_KEY}}'",
    "millrace deploy audit.ts --path /orders --slug audit-2 --start-from start",
  ],
  async run(args) {
    const { values, positionals } = parseCommand("deploy", args, options, { min: 1, max: 1 });
    const file = positionals[0] as string;
    if (values.path === undefined) throw new UsageError("--path is missing: to which stream?");
    const path = pathArgument(values.path);
    const place = values["start-from"];
    const startFrom = place === undefined ? undefined : placeOf("start-from", ["start", "end"], place);
    const env = environmentOf(values.env ?? []);
    const { bundle, exported } = await prepared(file);
    const slug = values.slug ?? slugOf(file, exported);
    warnOfKeys(env);
    if (bundle.without !== "") note(`the code is large: it is deployed ${bundle.without}`);
    const deployment = { ...{ path, slug, env, startFrom, bundle }, includeChildren: values.children ?? false };
    const run = (client: EventsClient) => deploy(client, deployment, exported, values);
    return leaveWith(await withClient(values, { path }, run));
  },
};

async function prepared(file: string): Promise<{ bundle: Bundle; exported: Exported | { unknown: string } }> {
  const [{ mustExist }, { bundleForSandbox }, { exportedBy }] = await Promise.all([
    import("./processor/load.ts"),
    import("./deploy/bundle.ts"),
    import("./deploy/exported.ts"),
  ]);
  await mustExist(file);
  const bundle = await bundleForSandbox(file);
  return { bundle, exported: await exportedBy(file, bundle.code) };
}

/** @throws UsageError */
function slugOf(file: string, exported: Exported | { unknown: string }): string {
  if ("unknown" in exported) {
    throw new UsageError(`${file} can be loaded in the sandbox alone (${exported.unknown}): say its slug with --slug.`);
  }
  if (exported.slug === undefined) throw new UsageError(`The processor of ${file} has no slug: say it with --slug.`);
  return exported.slug;
}

function warnOfKeys(env: Record<string, string>): void {
  for (const [name, value] of Object.entries(env)) {
    if (!looksLikeKey(name, value)) continue;
    note(
      `--env ${name} looks like a key, and everybody who reads the stream reads it. Store it with "millrace secrets set ${name} --host HOST", and say --env '${name}={{secret:${name}}}'`,
    );
  }
}

interface Deployment {
  path: string;
  slug: string;
  env: Record<string, string>;
  includeChildren: boolean;
  startFrom: "start" | "end" | number | undefined;
  bundle: Bundle;
}

async function deploy(
  client: EventsClient,
  deployment: Deployment,
  exported: Exported | { unknown: string },
  { json, "no-wait": noWait }: { json?: boolean | undefined; "no-wait"?: boolean | undefined },
): Promise<number> {
  const { path, slug, bundle } = deployment;
  const startFrom = deployment.startFrom ?? (await firstStart(client, path, slug, exported));
  const payload = payloadOf({ ...deployment, startFrom });
  const type = "https://events.iterate.com/events/stream/dynamic-worker/configured";
  const { event } = await client.append(path, { type, payload }, { retry: false });
  if (event.type !== type) return refused(event);
  const version = event.offset;
  const { shownBytes } = await import("./deploy/bundle.ts");
  if (!json) await writeOut(`deployed ${slug} to ${path}: version ${version}, ${shownBytes(bundle.bytes)} of code\n`);
  const { waitUntilRunning } = await import("./deploy/wait-until-running.ts");
  const outcome = noWait ? undefined : await waitUntilRunning(client, { path, slug, version, patienceMs });
  if (json) await createOutput(true).value({ path, slug, version, bytes: bundle.bytes, ...outcome });
  return told(slug, outcome, json);
}

/** What the code says of its start is for the first one: later it would forget its cursor with each deployment. */
async function firstStart(
  client: EventsClient,
  path: string,
  slug: string,
  exported: Exported | { unknown: string },
): Promise<Exported["startFrom"]> {
  if ("unknown" in exported || exported.startFrom === undefined) return undefined;
  const there = await processorsOf(client, path).catch((error: unknown) => {
    if (!isMillraceError(error, "not_found")) throw error;
    return [];
  });
  return there.some((each) => each.slug === slug) ? undefined : exported.startFrom;
}

/** As a JavaScript module: what is read as TypeScript may mean something else. */
function payloadOf({ slug, env, includeChildren, startFrom, bundle }: Deployment): JsonObject {
  return {
    slug,
    modules: { "processor.js": bundle.code },
    ...(Object.keys(env).length === 0 ? {} : { env }),
    ...(includeChildren ? { includeChildren } : {}),
    ...(startFrom === undefined ? {} : { startFrom }),
  };
}

function refused({ offset, payload }: StreamEvent): number {
  note(`stored as an invalid event at offset ${offset}: ${(payload as { error?: string }).error}`);
  return 1;
}

async function told(slug: string, outcome: Outcome | undefined, json: boolean | undefined): Promise<number> {
  if (outcome === undefined) return 0;
  if (outcome.status === "running") {
    if (!json) await writeOut(`${slug} is running\n`);
    return 0;
  }
  const how = { halted: "halted", waiting: "does not run yet", "not-running": "does not run" }[outcome.status];
  note(`${slug} ${how}: ${outcome.message}`);
  return 1;
}
