/** Why a payload does not fit its contract, as one line that names the field and says what came there. */
import { z } from "zod";
import type { EventContract } from "./contract.ts";

type Issue = z.core.$ZodIssue;

const expectations: Record<string, string> = {
  string: "a string",
  number: "a number",
  int: "an integer",
  boolean: "true or false",
  array: "an array",
  object: "an object",
  record: "an object",
};

/** @param where the name of the payload in the message */
export function payloadFault(contract: EventContract, payload: unknown, where: string): string | undefined {
  const result = contract.payload.safeParse(payload);
  if (result.success) return undefined;
  const issue = result.error.issues[0];
  if (issue === undefined) return `${where}: is not valid`;
  const field = where + issue.path.map(fieldName).join("");
  if (issue.code === "unrecognized_keys") {
    return `${field}${fieldName(issue.keys[0] ?? "")}: unknown key${knownKeys(contract, issue)}`;
  }
  return `${field}: ${oneLine(describe(issue, valueAt(payload, issue.path)))}`;
}

/** What a value is, in words: the kind, never the value itself, which may be long or secret. */
export function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** A key as it can stand in one line of text: `.key`, `[3]`, or quoted and shortened where it is neither. */
export function fieldName(key: PropertyKey): string {
  if (typeof key === "number") return `[${key}]`;
  const text = String(key);
  if (/^[\w-]{1,60}$/.test(text)) return `.${text}`;
  return `[${JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text)}]`;
}

/** Messages of libraries may quote what was sent, line breaks and all. */
export function oneLine(message: string): string {
  const line = message.replace(/\s+/g, " ");
  return line.length > 300 ? `${line.slice(0, 297)}...` : line;
}

function describe(issue: Issue, value: unknown): string {
  if (value === undefined && issue.code !== "custom") return `is missing; ${expected(issue)}`;
  if (issue.code === "invalid_type" && issue.expected === "int" && typeof value === "number") {
    return `${expected(issue)}, got a fraction`;
  }
  if (issue.code === "invalid_type" || issue.code === "invalid_value" || issue.code === "invalid_union") {
    return `${expected(issue)}, got ${kindOf(value)}`;
  }
  return issue.message;
}

function expected(issue: Issue): string {
  if (issue.code === "invalid_type") return `expected ${expectations[issue.expected] ?? "a value"}`;
  if (issue.code === "invalid_value") return `expected ${oneOf(issue.values)}`;
  // What the discriminator of a union may be; zod 4 reports it, its types do not.
  if ("options" in issue && Array.isArray(issue.options)) return `expected ${oneOf(issue.options)}`;
  return issue.message;
}

function oneOf(values: readonly unknown[]): string {
  const quoted = values.map((value) => JSON.stringify(value));
  return quoted.length === 1 ? `${quoted[0]}` : `one of ${quoted.join(", ")}`;
}

function knownKeys(contract: EventContract, issue: Issue): string {
  if (issue.path.length > 0 || !(contract.payload instanceof z.ZodObject)) return "";
  return `; ${contract.name} has ${Object.keys(contract.payload.shape).join(", ")}`;
}

function valueAt(payload: unknown, path: readonly PropertyKey[]): unknown {
  let value = payload;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}
