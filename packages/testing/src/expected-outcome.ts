/** What is expected of a processor beside what it did, and how the difference is told: the place first, then all of it. */
import type { JsonObject, JsonValue, StreamEvent } from "@millrace/protocol";
import type { Outcome } from "./given.ts";
import { copyOf, type Difference, firstDifference, show } from "./json-difference.ts";
import { resolvePath } from "./relative-path.ts";
import type { ProcessorError } from "./test-stream.ts";

export interface Expected<State> {
  /** All of it. */
  state?: State;
  /** All that it appended, in order; of each event only what is named here. */
  appended?: readonly ExpectedEvent[];
  /** All that went wrong, in order: the message, or of each error what is named here. Default: none. */
  errors?: readonly (string | Partial<ProcessorError>)[];
}

export interface ExpectedEvent {
  type: string;
  /** Its objects may have more keys than are named here; its lists may not have more items. */
  payload?: JsonValue;
  metadata?: JsonObject;
  /** Absolute, or relative to the stream: `./child`. */
  path?: string;
}

/** @throws Error with everything that differs */
export function expectOutcome<State>(slug: string, outcome: Outcome<State>, expected: Expected<State>): Outcome<State> {
  const { path } = outcome;
  const faults = [
    "state" in expected ? stateFault(outcome.state, expected.state) : undefined,
    expected.appended && appendedFault(path, outcome.appended, expected.appended),
    errorsFault(outcome.errors, expected.errors ?? []),
  ].filter((fault) => fault !== undefined);
  if (faults.length > 0) throw new Error(`${slug} did something else than expected.\n\n${faults.join("\n\n")}\n`);
  return outcome;
}

function stateFault(state: unknown, expected: unknown): string | undefined {
  const difference = firstDifference(state, copyOf(expected), false, "state");
  return difference && [told(difference), `  expected: ${show(expected)}`, `  state:    ${show(state)}`].join("\n");
}

function appendedFault(
  own: string,
  appended: readonly StreamEvent[],
  expected: readonly ExpectedEvent[],
): string | undefined {
  const wanted = expected.map(({ path, ...event }) => ({
    ...copyOf(event),
    ...(path === undefined ? {} : { path: resolvePath(own, path) }),
  }));
  const got = appended.map(({ streamPath, ...event }) => ({ ...event, path: streamPath }));
  return listFault("appended", got, wanted, ({ type, payload, metadata, path }) =>
    [type, payload === undefined ? "" : show(payload), metadata === undefined ? "" : show(metadata), path ?? ""]
      .filter((text) => text !== "")
      .join(" "),
  );
}

function errorsFault(errors: readonly ProcessorError[], expected: NonNullable<Expected<unknown>["errors"]>) {
  const wanted = expected.map((error) => (typeof error === "string" ? { message: error } : error));
  return listFault<Partial<ProcessorError>>("errors", errors, wanted, ({ message = "", offset, halted }) =>
    [message, offset === undefined ? "" : `(at ${offset})`, halted ? "and halted" : ""].filter(Boolean).join(" "),
  );
}

function listFault<Item>(
  name: string,
  got: readonly Item[],
  wanted: readonly Item[],
  describe: (item: Item) => string,
): string | undefined {
  const difference = firstDifference(got.slice(0, wanted.length), wanted, true, name);
  if (difference === undefined && got.length === wanted.length) return undefined;
  const what =
    got.length === wanted.length && difference !== undefined
      ? told(difference)
      : `${name}: expected ${wanted.length}, got ${got.length}`;
  return [what, ...listed("expected:", wanted.map(describe)), ...listed(`${name}:`, got.map(describe))].join("\n");
}

function listed(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [`  ${title} none`] : [`  ${title}`, ...lines.map((line, i) => `    ${i}. ${line}`)];
}

function told({ at, left, right }: Difference): string {
  return `${at}: expected ${show(right)}, got ${show(left)}`;
}
