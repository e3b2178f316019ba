/** `--header 'name: value'`, as curl has it. */
import { UsageError } from "./usage.ts";

/** What is well-formed is judged by the server. @throws UsageError, or Error for what must not be sent at all */
export function headersOf(lines: readonly string[]): Record<string, string> {
  const fields = lines.map(parseHeader);
  const names = fields.map(([name]) => name.toLowerCase());
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UsageError(`--header ${twice} is given twice; only one of them can be sent.`);
  return Object.fromEntries(fields);
}

function parseHeader(line: string): [name: string, value: string] {
  const colon = line.indexOf(":");
  if (colon < 1) throw new UsageError(`--header is 'name: value'; got "${line}".`);
  const [name, value] = [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
  const isLiteral = name.toLowerCase() === "authorization" && !/\{\{secret:[^{}\s]+\}\}/.test(value);
  // The server would refuse it, and keep it in the stream as what was sent, where all can read it.
  if (isLiteral) throw new Error(literalAuthorization);
  return [name, value];
}

const literalAuthorization =
  "payload.headers.authorization: expected a secret, such as Bearer {{secret:NAME}}. Events can be read, so a literal " +
  "one would be given away; nothing was sent.";
