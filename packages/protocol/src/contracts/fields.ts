/**
 * Fields that several contracts share. Payloads are stored as they were sent, so a schema here only ever judges:
 * no defaults, no transforms, and every message says what was expected.
 */
import jsonata from "jsonata";
import { z } from "zod";
import { expressionCharactersMax, slugCharactersMax } from "../limits.ts";
import { isCanonicalPath } from "../paths.ts";

/** A string that says something: not empty, not only blanks. */
export const text: z.ZodType<string> = z.string().regex(/\S/, "expected some text, not only blanks");

/** The name of a consumer, schedule or rule in its stream. */
export const slug: z.ZodType<string> = name(slugCharactersMax).refine(
  // Half a surrogate pair has no UTF-8, so it could stand in no header and in no key.
  (text) => !/\p{Surrogate}/u.test(text),
  "expected whole characters, got half of a surrogate pair",
);

/** An offset that an event has: 1, 2, 3 ... */
export const eventOffset: z.ZodType<number> = z.int().min(1, "expected an offset, which is 1 or more");

export const positive: z.ZodType<number> = z.number().gt(0, "expected a number above 0");

/** Any JSON value, null included, but not absent. */
export const json: z.ZodType<unknown> = z.unknown().refine((value) => value !== undefined, "is missing");

export const jsonObject: z.ZodType<Record<string, unknown>> = z.record(z.string(), z.unknown());

/** zod's records skip an own `__proto__` without looking at it, so it is refused before. */
export const stringRecord: z.ZodType<Record<string, string>> = z
  .unknown()
  .refine((value) => !hasOwnProto(value), "__proto__ cannot be a key here")
  .pipe(z.record(z.string(), z.string()));

export const canonicalPath: z.ZodType<string> = z
  .string()
  .refine(isCanonicalPath, "expected a canonical stream path, such as /team/inbox")
  .describe("A canonical stream path, such as `/team/inbox`.");

/** JSONata that compiles. Whether it ever finds anything is not known before an event is there. */
export const expression: z.ZodType<string> = z
  .string()
  .superRefine((source, context) => {
    const fault = expressionFault(source);
    if (fault !== undefined) context.addIssue({ code: "custom", message: fault });
  })
  .describe(`JSONata that compiles, at most ${expressionCharactersMax} characters.`);

/** Where a consumer begins. */
export const startFrom: z.ZodType<"start" | "end" | number> = place("start", "end", "begin");

/** Where a halted consumer goes on. */
const resumeFrom: z.ZodType<"cursor" | "head" | number> = place("cursor", "head", "go on");

/** What every consumer's `removed` carries. */
export const removal: z.ZodType<{ slug: string }> = z.strictObject({ slug });

/** What every consumer's `resumed` carries. */
export const resumption: z.ZodType<{ slug: string; from?: "cursor" | "head" | number | undefined }> = z.strictObject({
  slug,
  from: resumeFrom.optional(),
});

const haltFields = {
  slug,
  offset: eventOffset,
  message: text,
  attempts: z.int().min(1, "expected 1 or more").optional(),
  howToResume: text.optional(),
  startedBy: eventOffset.optional().describe("Offset of the configuration or resumption that began what ended here."),
};

/** What every consumer's `halted` carries. */
export const halt: z.ZodType<{ slug: string; offset: number; message: string }> = z.strictObject(haltFields);

/** The same of one that may be configured further up. */
export const inheritableHalt: z.ZodType<{ slug: string; offset: number; message: string }> = z.strictObject({
  ...haltFields,
  configuration: z
    .strictObject({ streamPath: canonicalPath, offset: eventOffset })
    .optional()
    .describe("The configuration, where it stands in a stream above this one."),
});

function place<Word extends string>(one: Word, other: Word, verb: string): z.ZodType<Word | number> {
  const message = `expected "${one}", "${other}" or the offset after which to ${verb}`;
  return z.union([z.literal([one, other]), z.int().min(0, message)], { error: message });
}

/** A string of 1 to `charactersMax` characters that is not only blanks. */
export function name(charactersMax: number): z.ZodType<string> {
  const message = `expected 1 to ${charactersMax} characters, not only blanks`;
  return z.string().regex(/\S/, message).max(charactersMax, message);
}

function expressionFault(source: string): string | undefined {
  if (source.length > expressionCharactersMax) {
    return `expected JSONata of at most ${expressionCharactersMax} characters, got ${source.length}`;
  }
  try {
    jsonata(source);
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return "expected JSONata that compiles: it is nested too deeply";
    const { message, position } = error as { message?: unknown; position?: unknown };
    const where = typeof position === "number" ? ` (at character ${position})` : "";
    return `expected JSONata that compiles: ${String(message)}${where}`;
  }
}

function hasOwnProto(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "__proto__");
}
