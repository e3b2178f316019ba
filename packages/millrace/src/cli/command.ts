/** What a command is, and how its line is read. The same table of options parses, helps and completes. */
import { parseArgs } from "node:util";
import { UsageError } from "./usage.ts";

export interface Option {
  type: "string" | "boolean";
  short?: string;
  multiple?: boolean;
  /** What stands behind the flag in the help, such as `FILE`. */
  value?: string;
  help: string;
}

export type Options = Record<string, Option>;

export interface Command {
  /** What stands behind `millrace`. */
  usage: string;
  about: string;
  options: Options;
  examples: readonly string[];
  /** Words that may stand first, for completion. */
  words?: readonly string[];
  /** Resolves with the exit code. */
  run(args: string[]): Promise<number>;
}

export const helpOption: { help: { type: "boolean"; short: string; help: string } } = {
  help: { type: "boolean", short: "h", help: "this text" },
};

type Parsed<O extends Options> = ReturnType<typeof parseArgs<{ options: O; allowPositionals: true }>>;

/** @throws UsageError */
export function parseCommand<O extends Options>(
  name: string,
  args: string[],
  options: O,
  positionals: { min: number; max: number },
): Parsed<O> {
  const parsed = parse(name, args, options);
  const { length } = parsed.positionals;
  if (length < positionals.min) throw new UsageError(`Something is missing behind "${name}".${see(name)}`);
  if (length > positionals.max) {
    throw new UsageError(`"${parsed.positionals[positionals.max]}" is one word too many.${see(name)}`);
  }
  return parsed;
}

function parse<O extends Options>(name: string, args: string[], options: O): Parsed<O> {
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}${see(name)}`);
  }
}

const see = (name: string): string => `\nSee millrace ${name} --help.`;

/** A whole number of at least `min`. @throws UsageError */
export function wholeNumber(flag: string, text: string, min = 0): number {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : -1;
  if (number < min || !Number.isSafeInteger(number)) {
    throw new UsageError(`--${flag} is a whole number from ${min}; got "${text}".`);
  }
  return number;
}
