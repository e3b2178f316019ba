/** What goes to stdout: YAML for people, one JSON value in a line for programs. */
import { once } from "node:events";
import { escapeControls } from "./escape-controls.ts";

export interface Output {
  /** One of many: a YAML document that begins with `---`, or a line of JSON. */
  item(value: unknown): Promise<void>;
  /** The only one. */
  value(value: unknown): Promise<void>;
}

export function createOutput(json: boolean | undefined): Output {
  if (json) {
    const line = (value: unknown) => writeOut(`${escapeControls(JSON.stringify(value))}\n`);
    return { item: line, value: line };
  }
  const colours = wantsColours(process.stdout);
  const begin = colours ? "\x1b[2m---\x1b[0m\n" : "---\n";
  // Loaded here, so that programs that ask for JSON do not wait for a library.
  const yaml = async (value: unknown) => (await import("./yaml.ts")).toYaml(value, colours);
  return {
    item: async (value) => writeOut(begin + (await yaml(value))),
    value: async (value) => writeOut(await yaml(value)),
  };
}

/** Colours are for terminals, and for those who have not said no: https://no-color.org */
export function wantsColours(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
}

/** Waits when the reader is slower than the stream. */
export async function writeOut(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, "drain");
}

export function note(text: string): void {
  process.stderr.write(`millrace: ${escapeControls(text)}\n`);
}

/**
 * A reader that has seen enough (`| head`) is no failure: end, and say nothing.
 */
export function endQuietlyWithoutReader(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(0);
      throw error;
    });
  }
}

/** The author's code may hold the process open, with timers or connections of its own: the command is over. */
export async function leaveWith(code: number): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) await new Promise((done) => stream.write("", done));
  process.exit(code);
}
