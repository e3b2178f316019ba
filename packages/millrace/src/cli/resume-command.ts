/** `millrace resume`: lets a paused stream go on, or with `--slug` a subscription, transformer or processor that halted. */
import type { JsonObject, StreamState } from "@millrace/sdk";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { consumerOf } from "./consumer-list.ts";
import { note } from "./output.ts";
import { placeOf } from "./place.ts";
import { printStored } from "./stored.ts";
import { UsageError } from "./usage.ts";

const options = {
  slug: { type: "string", value: "SLUG", help: "not the stream: what halted, of this name" },
  from: {
    type: "string",
    value: "PLACE",
    help: "with --slug: cursor (default), head, or the offset behind which to go on",
  },
  kind: { type: "string", value: "KIND", help: "where several have the slug: subscription, transformer or processor" },
  ...clientOptions,
} as const;

export const resumeCommand: Command = {
  usage: "resume <path> [reason...] [--slug SLUG [--from PLACE]] [options]",
  about: `Appends "resumed": the stream takes appends again.
With --slug it is for a subscription, a transformer or a processor that halted: the event that it failed at is tried
again, unless --from says where else to go on. Where none of that name is halted, nothing is appended, and the exit
code is 1.`,
  options,
  examples: [
    "millrace resume /me/hello",
    "millrace resume /me/hello the loop is fixed",
    "millrace resume /me/hello --slug audit",
    "millrace resume /me/hello --slug audit --from head",
  ],
  run(args) {
    const { values, positionals } = parseCommand("resume", args, options, { min: 1, max: 1_000 });
    const path = pathArgument(positionals[0]);
    const reason = positionals.slice(1).join(" ");
    const { slug } = values;
    if (slug !== undefined) {
      if (reason !== "") throw new UsageError(`With --slug there is no reason to give; got "${reason}".`);
      return resumeConsumer(path, slug, values);
    }
    if (values.from !== undefined) throw new UsageError("--from needs --slug SLUG.");
    if (values.kind !== undefined) throw new UsageError("--kind needs --slug SLUG.");
    const type = "https://events.iterate.com/events/stream/resumed";
    return withClient(values, { path }, async (client) => {
      const payload: JsonObject = reason === "" ? {} : { reason };
      return printStored(await client.append(path, { type, payload }, { retry: false }), values.json);
    });
  },
};

const resumedTypes = {
  subscription: "https://events.iterate.com/events/stream/subscription/resumed",
  transformer: "https://events.iterate.com/events/stream/jsonata-transformer-resumed",
  processor: "https://events.iterate.com/events/stream/dynamic-worker/resumed",
} as const;

type Kind = keyof typeof resumedTypes;

const kinds = Object.keys(resumedTypes) as Kind[];

interface Values {
  from?: string | undefined;
  kind?: string | undefined;
  json?: boolean | undefined;
  url?: string | undefined;
  project?: string | undefined;
  token?: string | undefined;
}

function resumeConsumer(path: string, slug: string, values: Values): Promise<number> {
  const from = values.from === undefined ? undefined : placeOf("from", ["cursor", "head"], values.from);
  const wanted = values.kind === undefined ? kinds : [kindOf(values.kind)];
  return withClient(values, { path }, async (client) => {
    const state = await client.state(path);
    const halted = wanted.filter((kind) => consumerOf(state.consumers, kind, slug)?.halted !== undefined);
    const [kind] = halted;
    if (kind === undefined || halted.length > 1) {
      note(kind === undefined ? nothingHalted(state, wanted, slug) : severalHalted(halted, slug));
      return 1;
    }
    const payload = { slug, ...(from === undefined ? {} : { from }) };
    const appended = await client.append(path, { type: resumedTypes[kind], payload }, { retry: false });
    const code = await printStored(appended, values.json);
    if (code === 0 && !values.json) note(`the ${kind} "${slug}" goes on ${whereTo(from, state, kind, slug)}`);
    return code;
  });
}

function kindOf(text: string): Kind {
  const kind = kinds.find((each) => each === text);
  if (kind === undefined) throw new UsageError(`--kind is subscription, transformer or processor; got "${text}".`);
  return kind;
}

function nothingHalted({ path, consumers }: StreamState, wanted: readonly Kind[], slug: string): string {
  const kind = wanted.find((each) => consumerOf(consumers, each, slug) !== undefined);
  if (kind !== undefined) return `the ${kind} "${slug}" of ${path} is not halted; nothing was appended`;
  const noun = wanted.length === 1 ? wanted[0] : "consumer";
  return `no ${noun} "${slug}" runs at ${path}; millrace state ${path} names those that do`;
}

const severalHalted = (halted: readonly Kind[], slug: string): string =>
  `several of the name "${slug}" are halted: say which with --kind ${halted.join(" or --kind ")}`;

function whereTo(from: string | number | undefined, { consumers }: StreamState, kind: Kind, slug: string): string {
  if (from === "head") return "at the head; what lies between is left out";
  if (typeof from === "number") return `behind offset ${from}`;
  return `at offset ${consumerOf(consumers, kind, slug)?.halted?.offset}, where it halted`;
}
