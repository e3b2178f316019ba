/** Where the value of a secret comes from: a file, a pipe, or a person whose typing is not shown. */
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { escapeControls } from "./escape-controls.ts";
import { UsageError } from "./usage.ts";

/** Ctrl-C, or Ctrl-D, instead of a value. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** @throws UsageError, Interrupted */
export async function readSecretValue(name: string, file: string | undefined): Promise<string> {
  if (file === undefined && process.stdin.isTTY) return notEmpty(await ask(name), "What was typed");
  const source = file ?? "stdin";
  return notEmpty(textOf(await bytesOf(file), source), source);
}

async function bytesOf(file: string | undefined): Promise<Buffer> {
  if (file === undefined || file === "-") return buffer(process.stdin);
  try {
    return await readFile(file);
  } catch (error) {
    throw new UsageError(`--from-file ${file} cannot be read (${(error as Error).message}).`);
  }
}

/** Editors and `echo` put a line break at the end, which is never meant. */
function textOf(bytes: Buffer, source: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r?\n$/, "");
  } catch {
    throw new UsageError(`${source} is not UTF-8, and a secret is text; encode it, as base64 perhaps.`);
  }
}

function notEmpty(value: string, source: string): string {
  if (value !== "") return value;
  throw new UsageError(`${source} is empty, and a secret is not.`);
}

function ask(name: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: nowhere, terminal: true, historySize: 0 });
  const lines: string[] = [];
  process.stderr.write(`Value of ${escapeControls(name)}, not shown: `);
  return new Promise<string>((resolve, reject) => {
    terminal.on("line", (line) => {
      lines.push(line);
      // What was pasted comes in one piece: the lines behind the first are here before this runs.
      if (lines.length === 1) setImmediate(() => terminal.close());
    });
    terminal.on("SIGINT", () => terminal.close());
    terminal.on("close", () => {
      process.stderr.write("\n");
      const [line] = lines;
      if (line === undefined) reject(new Interrupted());
      else if (lines.length > 1)
        reject(new UsageError("A value of several lines is piped in, or given as --from-file."));
      else resolve(line);
    });
  });
}
