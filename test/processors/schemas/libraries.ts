/**
 * The same schemas in three libraries that speak Standard Schema: what a test says of one it says of all. `order` has a
 * transform, a default and an optional field; `note` has two fields; each parse of `order` is counted.
 */
import type { StandardSchema } from "@millrace/sdk/processor";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";

export interface Order {
  cents: number;
  currency: string;
  note?: string | undefined;
}

export interface Library {
  name: string;
  /** @param parsed is called for each parse that came as far as the transform */
  order(parsed: () => void): StandardSchema<Order>;
  note: StandardSchema<{ to: { name: string } }>;
  /** Its transform throws. */
  throwing: StandardSchema;
  /** Whatever it lets through it answers with a promise. */
  asynchronous: StandardSchema;
}

const notAnUrl = "this transform throws";
const fail = (): never => {
  throw new Error(notAnUrl);
};
const soon = async (value: unknown) => value;
const cents = (parsed: () => void) => (text: string) => {
  parsed();
  return Number(text);
};

export const libraries: Library[] = [
  {
    name: "zod",
    order: (parsed) =>
      z.object({
        cents: z.string().regex(/^\d+$/).transform(cents(parsed)),
        currency: z.string().default("EUR"),
        note: z.string().optional(),
      }),
    note: z.object({ to: z.object({ name: z.string() }) }),
    throwing: z.unknown().transform(fail),
    asynchronous: z.object({ cents: z.string() }).refine(async () => true),
  },
  {
    name: "valibot",
    order: (parsed) =>
      v.object({
        cents: v.pipe(v.string(), v.regex(/^\d+$/), v.transform(cents(parsed))),
        currency: v.optional(v.string(), "EUR"),
        note: v.optional(v.string()),
      }),
    note: v.object({ to: v.object({ name: v.string() }) }),
    throwing: v.pipe(v.unknown(), v.transform(fail)),
    asynchronous: v.pipeAsync(
      v.object({ cents: v.string() }),
      v.checkAsync(async () => true),
    ),
  },
  {
    name: "arktype",
    order: (parsed) =>
      type({
        cents: type("string.digits").pipe(cents(parsed)),
        currency: "string = 'EUR'",
        "note?": "string",
      }),
    note: type({ to: { name: "string" } }),
    throwing: type("unknown").pipe(fail),
    asynchronous: type({ cents: "string" }).pipe(soon),
  },
];
