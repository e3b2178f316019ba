/** `millrace transform`: events that match are rewritten into new ones, by the server. */
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { expressionOf, onlyOneFromStdin } from "./expression.ts";
import { printStored } from "./stored.ts";
import { UsageError } from "./usage.ts";

const options = {
  slug: { type: "string", value: "SLUG", help: "its name in the stream; the same again replaces it" },
  matcher: { type: "string", value: "JSONATA", help: "which events, by their whole; @FILE reads it from there" },
  transform: { type: "string", value: "JSONATA", help: "the new event, or a list of them; @FILE reads it from there" },
  ...clientOptions,
} as const;

export const transformCommand: Command = {
  usage: "transform <path> --slug SLUG --matcher JSONATA --transform JSONATA [options]",
  about: `Appends "jsonata-transformer-configured" and prints it: for each later event of the stream for which the matcher is
true, the server appends what the transform makes of it. The old event stays; a transformer never sees its own output.
A transformer that is refused is stored as an invalid event that says why; then the exit code is 1.`,
  options,
  examples: [
    `millrace transform /me/hello --slug ask --matcher "type = 'slack-command'" \\
    --transform "{'type': 'question-asked', 'payload': {'text': payload.text}}"`,
    "millrace transform /me/hello --slug ask --matcher @matcher.jsonata --transform @transform.jsonata",
  ],
  async run(args) {
    const { values, positionals } = parseCommand("transform", args, options, { min: 1, max: 1 });
    const path = pathArgument(positionals[0]);
    const { slug, matcher, transform } = values;
    if (slug === undefined || matcher === undefined || transform === undefined) {
      throw new UsageError("--slug, --matcher and --transform are all needed.\nSee millrace transform --help.");
    }
    onlyOneFromStdin(matcher, transform);
    const payload = {
      slug,
      matcher: await expressionOf("matcher", matcher),
      transform: await expressionOf("transform", transform),
    };
    const type = "https://events.iterate.com/events/stream/jsonata-transformer-configured";
    return withClient(values, { path }, async (client) => {
      return printStored(await client.append(path, { type, payload }, { retry: false }), values.json);
    });
  },
};
