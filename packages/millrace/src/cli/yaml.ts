/**
 * Events as people read them: YAML, with the keys and the type coloured on a terminal. Written here because a whole
 * YAML library costs a quarter of what a command takes. What comes is JSON, and a quoted JSON string is YAML too; so
 * only text that is surely plain stands without quotes, and everything doubtful in them.
 */
import { escapeControls } from "./escape-controls.ts";

export function toYaml(value: unknown, colours: boolean): string {
  const text = escapeControls(`${node(value, "").trimStart()}\n`);
  return colours ? text.replace(/^(type: )(.*)$|^([\w-]+):(?=$| )/gm, colour) : text;
}

/** A value behind `key:` or `-`: a blank and a scalar, or lines of its own. `indent` is that of such lines. */
function node(value: unknown, indent: string): string {
  if (typeof value === "string") return ` ${value.includes("\n") ? lines(value, indent) : scalar(value)}`;
  if (typeof value !== "object" || value === null) return ` ${JSON.stringify(value)}`;
  const entries = Array.isArray(value) ? value.map((item) => element(item, indent)) : entriesOf(value, indent);
  if (entries.length === 0) return Array.isArray(value) ? " []" : " {}";
  return entries.map((entry) => `\n${indent}${entry}`).join("");
}

/** A list or an object begins on the line of its dash. */
function element(item: unknown, indent: string): string {
  return `- ${node(item, `${indent}  `).trimStart()}`;
}

function entriesOf(object: object, indent: string): string[] {
  return Object.entries(object)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${keyOf(key, indent)}${node(value, `${indent}  `)}`);
}

/** Longer keys than this need a form of their own in YAML. */
const shortKeyCharacters = 1_000;

function keyOf(key: string, indent: string): string {
  const text = scalar(key);
  return text.length <= shortKeyCharacters ? `${text}:` : `? ${text}\n${indent}:`;
}

const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u;
const plain = /^[\p{L}_/$(](?:.*[^\s:])?$/u;
const looksLikeSyntax = /: | #/;
const word = /^(?:null|true|false|yes|no|on|off|y|n)$/i;
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

function scalar(text: string): string {
  if (time.test(text)) return text;
  if (!printable.test(text)) return JSON.stringify(text);
  if (plain.test(text) && !looksLikeSyntax.test(text) && !word.test(text)) return text;
  return /["\\]/.test(text) ? `'${text.replaceAll("'", "''")}'` : JSON.stringify(text);
}

/** Text of several lines as it is, if nothing in it could be lost: the first line sets the indentation. */
function lines(text: string, indent: string): string {
  const ended = text.endsWith("\n");
  const all = (ended ? text.slice(0, -1) : text).split("\n");
  const keepable = /^\S/.test(text) && all.at(-1)?.trim() !== "" && all.every((line) => printable.test(line));
  if (!keepable) return JSON.stringify(text);
  const deeper = indent === "" ? "  " : indent;
  return `${ended ? "|" : "|-"}\n${all.map((line) => (line === "" ? "" : deeper + line)).join("\n")}`;
}

/** Only lines at the margin: deeper ones may be text of somebody's that looks like keys. */
function colour(line: string, typeKey: string | undefined, type: string, key: string): string {
  return typeKey === undefined ? `${cyan(key)}:${line.slice(key.length + 1)}` : `${cyan("type")}: ${bold(type)}`;
}

const cyan = (text: string): string => `\x1b[36m${text}\x1b[0m`;
const bold = (text: string): string => `\x1b[1;32m${text}\x1b[0m`;
