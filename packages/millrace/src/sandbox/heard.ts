/**
 * What comes over the line, made sure of. The runner wrote it, but most of what it says was made beside code of
 * somebody else: so every part has its kind and its size here, or it is nothing.
 */
import type { CodeError, SandboxDelivery, SandboxDescription, SandboxResult } from "@millrace/engine";
import type { JsonValue } from "@millrace/protocol";
import { isWithinBounds, type JsonBounds } from "./json-bounds.ts";
import { type FromRunner, type Question, questions, stateCharactersMax } from "./messages.ts";

const nameCharactersMax = 200;
const messageCharactersMax = 16 * 1024;
const stackCharactersMax = 32 * 1024;
const dataCharactersMax = 16 * 1024;
/** JSON is read without the stack, and written with it: what is too deep for that would end the server. */
const dataDepthMax = 64;
const stateDepthMax = 200;
/** Deeper than anything that the code can have written with JSON.stringify, and read within some milliseconds. */
const argumentsBounds: JsonBounds = { depth: 10_000 };
/** What a delivery is answered with holds a state as a text, and for each event at most one that was passed over. */
const resultBounds: JsonBounds = { ...argumentsBounds, parts: 100_000 };
const typesMax = 1_000;

type Unknown = Readonly<Record<string, unknown>>;

/** Undefined for what is no message. Bodies are judged when it is known what they answer. */
export function heardOf(text: string): { message: FromRunner; body: string } | undefined {
  const end = text.indexOf("\n");
  const message = headOf(end < 0 ? text : text.slice(0, end));
  return message === undefined ? undefined : { message, body: end < 0 ? "" : text.slice(end + 1) };
}

/** The arguments of a question; none where they are no list. */
export function argumentsOf(body: string): readonly unknown[] {
  const said = isWithinBounds(body, argumentsBounds) ? parsed(body) : undefined;
  return Array.isArray(said) ? said : [];
}

function headOf(text: string): FromRunner | undefined {
  const said = objectOf(parsed(text));
  if (said === undefined) return undefined;
  switch (said.is) {
    case "pong":
      return isCount(said.id) ? { is: "pong", id: said.id } : undefined;
    case "loaded": {
      const description = descriptionOf(said.description);
      const error = { name: "Error", message: "The module describes itself in a way that cannot be understood." };
      return description === undefined ? { is: "load-failed", error } : { is: "loaded", description };
    }
    case "load-failed":
      return { is: "load-failed", error: codeErrorOf(said.error) };
    case "result": {
      const { id, working } = said;
      return isCount(id) ? { is: "result", id, working: working === true } : undefined;
    }
    case "over":
      return isCount(said.id) ? { is: "over", id: said.id } : undefined;
    case "asked": {
      const { id, ask, question } = said;
      if (!isCount(id) || !isCount(ask) || !questions.has(question)) return undefined;
      return { is: "asked", id, ask, question: question as Question };
    }
  }
  return undefined;
}

/** As an answer to this delivery; a failed hook where it is none. */
export function resultOf(body: string, delivery: Pick<SandboxDelivery, "events" | "wantState">): SandboxResult {
  const said = isWithinBounds(body, resultBounds) ? objectOf(parsed(body)) : undefined;
  const offsets = new Set(delivery.events.map(({ offset }) => offset));
  if (said === undefined) return strange;
  switch (said.is) {
    case "state-missing":
      return { is: "state-missing" };
    case "fold-failed": {
      const offset = offsets.has(said.offset as number) ? (said.offset as number) : delivery.events.at(-1)?.offset;
      return offset === undefined ? strange : { is: "fold-failed", offset, error: codeErrorOf(said.error) };
    }
    case "hook-failed":
      return { is: "hook-failed", error: codeErrorOf(said.error), passedOver: passedOverIn(said.passedOver, offsets) };
    case "done": {
      const passedOver = passedOverIn(said.passedOver, offsets);
      if (delivery.wantState !== true) return { is: "done", passedOver };
      return isState(said.state) ? { is: "done", state: said.state, passedOver } : strange;
    }
  }
  return strange;
}

const strange: SandboxResult = {
  is: "hook-failed",
  error: { name: "Error", message: "The code gave an answer that cannot be understood." },
  passedOver: [],
};

export function codeErrorOf(said: unknown): CodeError {
  if (!isObject(said)) return { name: "Error", message: "It failed without saying how." };
  const { name, message, stack, code, data } = said;
  return {
    name: typeof name === "string" ? name.slice(0, nameCharactersMax) : "Error",
    message: typeof message === "string" ? message.slice(0, messageCharactersMax) : "It failed without saying how.",
    ...(typeof stack === "string" ? { stack: stack.slice(0, stackCharactersMax) } : {}),
    ...(typeof code === "string" ? { code: code.slice(0, nameCharactersMax), ...smallData(data) } : {}),
  };
}

function smallData(data: unknown): { data?: JsonValue } {
  if (!isObject(data) || isDeeper(data, dataDepthMax) || JSON.stringify(data).length > dataCharactersMax) return {};
  return { data: data as JsonValue };
}

function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((each) => isDeeper(each, depth - 1));
}

function descriptionOf(said: unknown): SandboxDescription | undefined {
  if (!isObject(said) || said.initialState === undefined) return undefined;
  const { initialState, hasAfterAppend, hasAfterCatchUp, types } = said;
  if (types !== undefined && !areTypes(types)) return undefined;
  return {
    initialState: initialState as JsonValue,
    hasAfterAppend: hasAfterAppend === true,
    hasAfterCatchUp: hasAfterCatchUp === true,
    ...(types === undefined ? {} : { types }),
  };
}

function areTypes(types: unknown): types is string[] {
  return Array.isArray(types) && types.length <= typesMax && types.every((type) => typeof type === "string");
}

function passedOverIn(said: unknown, offsets: ReadonlySet<number>): { offset: number; fault: string }[] {
  const list: unknown[] = Array.isArray(said) ? said : [];
  const found = new Map<number, string>();
  for (const one of list) {
    if (!isObject(one) || !offsets.has(one.offset as number) || typeof one.fault !== "string") continue;
    found.set(one.offset as number, one.fault.slice(0, messageCharactersMax));
  }
  return [...found].map(([offset, fault]) => ({ offset, fault }));
}

function isState(state: unknown): state is string {
  if (typeof state !== "string" || state.length > stateCharactersMax) return false;
  return isWithinBounds(state, { depth: stateDepthMax }) && parsed(state) !== undefined;
}

function objectOf(said: unknown): Unknown | undefined {
  return isObject(said) ? said : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(said: unknown): said is Unknown {
  return typeof said === "object" && said !== null && !Array.isArray(said);
}

function isCount(said: unknown): said is number {
  return Number.isSafeInteger(said) && (said as number) >= 0;
}
