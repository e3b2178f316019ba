/** What the compiler knows of an event by its schema, for each library: the payload as the schema leaves it. */
import { defineProcessor, type EventsOf } from "@millrace/sdk/processor";
import { type } from "arktype";
import * as v from "valibot";
import { describe, expectTypeOf, test } from "vitest";
import { z } from "zod";

interface Cents {
  cents: number;
  currency: string;
}

/** The compiler judges the whole file (`npm run check`); that the events came to nothing would not fail by itself. */
describe("by its type an event's payload is known, in the reducer and in the hook", () => {
  test("zod", () => {
    defineProcessor({
      slug: "zod",
      initialState: { total: 0 },
      events: {
        "order-placed": z.object({ cents: z.string().transform(Number), currency: z.string().default("EUR") }),
        noted: z.string(),
      },
      reduce({ state, event }) {
        expectTypeOf(event.type).toEqualTypeOf<"order-placed" | "noted">();
        expectTypeOf(state.total).toEqualTypeOf<number>();
        if (event.type === "noted") expectTypeOf(event.payload).toEqualTypeOf<string>();
        else expectTypeOf(event.payload).toEqualTypeOf<Cents>();
        // @ts-expect-error it has no schema of that type
        return event.type === "cancelled" ? undefined : state;
      },
      afterAppend({ event }) {
        if (event.type === "order-placed") expectTypeOf(event.payload).toEqualTypeOf<Cents>();
        else expectTypeOf(event.payload).toEqualTypeOf<string>();
      },
    });
  });

  test("valibot", () => {
    defineProcessor({
      slug: "valibot",
      initialState: { total: 0 },
      events: {
        "order-placed": v.object({
          cents: v.pipe(v.string(), v.transform(Number)),
          currency: v.optional(v.string(), "EUR"),
        }),
        noted: v.string(),
      },
      reduce({ state, event }) {
        expectTypeOf(event.type).toEqualTypeOf<"order-placed" | "noted">();
        expectTypeOf(state.total).toEqualTypeOf<number>();
        if (event.type === "noted") expectTypeOf(event.payload).toEqualTypeOf<string>();
        else expectTypeOf(event.payload).toEqualTypeOf<Cents>();
        // @ts-expect-error it has no schema of that type
        return event.type === "cancelled" ? undefined : state;
      },
      afterAppend({ event }) {
        if (event.type === "order-placed") expectTypeOf(event.payload).toEqualTypeOf<Cents>();
        else expectTypeOf(event.payload).toEqualTypeOf<string>();
      },
    });
  });

  test("arktype", () => {
    defineProcessor({
      slug: "arktype",
      initialState: { total: 0 },
      events: {
        "order-placed": type({ cents: type("string").pipe(Number), currency: "string = 'EUR'" }),
        noted: type("string"),
      },
      reduce({ state, event }) {
        expectTypeOf(event.type).toEqualTypeOf<"order-placed" | "noted">();
        expectTypeOf(state.total).toEqualTypeOf<number>();
        if (event.type === "noted") expectTypeOf(event.payload).toEqualTypeOf<string>();
        else expectTypeOf(event.payload).toEqualTypeOf<Cents>();
        // @ts-expect-error it has no schema of that type
        return event.type === "cancelled" ? undefined : state;
      },
      afterAppend({ event }) {
        if (event.type === "order-placed") expectTypeOf(event.payload).toEqualTypeOf<Cents>();
        else expectTypeOf(event.payload).toEqualTypeOf<string>();
      },
    });
  });

  test("libraries mixed in one processor, and asynchronous schemas, which are refused when they run", () => {
    const schemas = { zod: z.number(), valibot: v.string(), arktype: type("boolean"), late: v.pipeAsync(v.bigint()) };
    type Event = EventsOf<typeof schemas>;
    expectTypeOf<Extract<Event, { type: "zod" }>["payload"]>().toEqualTypeOf<number>();
    expectTypeOf<Extract<Event, { type: "valibot" }>["payload"]>().toEqualTypeOf<string>();
    expectTypeOf<Extract<Event, { type: "arktype" }>["payload"]>().toEqualTypeOf<boolean>();
    expectTypeOf<Extract<Event, { type: "late" }>["payload"]>().toEqualTypeOf<bigint>();
  });
});
