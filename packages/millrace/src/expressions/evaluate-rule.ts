/** One rule over one input: from texts to an answer. Compiled expressions are kept, the least recently used leave. */
import jsonata, { type Expression } from "jsonata";
import type { Answer, Item } from "./messages.ts";

/** Of all expressions kept: a syntax tree takes about a hundred bytes for each character of a dense expression. */
const keptCharactersMax = 256 * 1024;
const keptMax = 1_000;
const messageCharactersMax = 500;

export function createRuleEvaluator({ resultBytesMax }: { resultBytesMax: number }): (item: Item) => Promise<Answer> {
  const compile = createCompiler();

  return async ({ matcher, transform, input }) => {
    let part = "matcher";
    try {
      if (matcher !== undefined && !isTrue(await compile(matcher).evaluate(JSON.parse(input)))) {
        return { matched: false };
      }
      part = "transform";
      if (transform === undefined) return { matched: true };
      // Parsed again, because an expression can change what it is given.
      const result = resultText(await compile(transform).evaluate(JSON.parse(input)));
      if (result === undefined) return { matched: true };
      const bytes = Buffer.byteLength(result);
      if (bytes <= resultBytesMax) return { matched: true, result };
      return { failed: `The result of the transform has ${bytes} bytes; at most ${resultBytesMax} are allowed.` };
    } catch (error) {
      return { failed: failureText(part, error) };
    }
  };
}

function createCompiler(): (text: string) => Expression {
  const kept = new Map<string, Expression>();
  let characters = 0;

  return (text) => {
    const found = kept.get(text);
    const expression = found ?? jsonata(text);
    if (found === undefined) characters += text.length;
    else kept.delete(text);
    kept.set(text, expression);
    for (const oldest of kept.keys()) {
      if (characters <= keptCharactersMax && kept.size <= keptMax) break;
      kept.delete(oldest);
      characters -= oldest.length;
    }
    return expression;
  };
}

/** What `$boolean` says, without another evaluation. */
function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(isTrue);
  if (typeof value !== "object" || value === null) return typeof value !== "function" && Boolean(value);
  return !isFunction(value) && Object.keys(value).length > 0;
}

/** As JSON.stringify, to which functions are nothing; those of JSONata are objects, full of its own insides. */
function resultText(value: unknown): string | undefined {
  return JSON.stringify(value, (_, inner) => (isFunction(inner) ? undefined : inner));
}

function isFunction(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return typeof value === "function";
  const { _jsonata_function, _jsonata_lambda } = value as Record<string, unknown>;
  return _jsonata_function === true || _jsonata_lambda === true;
}

/** JSONata throws plain objects; what JavaScript itself throws has no position. */
function failureText(part: string, error: unknown): string {
  const { message, position } = (error ?? {}) as { message?: unknown; position?: unknown };
  const at = typeof position === "number" ? ` at character ${position}` : "";
  const text = `The ${part} failed${at}: ${typeof message === "string" && message !== "" ? message : "no reason given"}`;
  const cut = text.length <= messageCharactersMax ? text : `${text.slice(0, messageCharactersMax - 3)}...`;
  // Half a character, cut here or made by the expression, is no text.
  return cut.replaceAll(/\p{Surrogate}/gu, "\ufffd");
}
