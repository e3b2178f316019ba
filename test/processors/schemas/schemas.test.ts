/** Schemas of events, whatever library they are of: parsed once, told where they do not fit, refused where they wait. */
import { defineProcessor, type StreamEvent } from "@millrace/sdk/processor";
import { given } from "@millrace/testing";
import { describe, expect, test } from "vitest";
import { builtin, isError, ofType, startWorld } from "../world.ts";
import { libraries } from "./libraries.ts";

const errors = (events: readonly StreamEvent[]) =>
  events.filter(({ type }) => type === builtin("error-occurred")).map(({ payload }) => payload);

describe.each(libraries)("$name", ({ order, note, throwing, asynchronous }) => {
  test("the reducer and the hook are given what the schema made of a payload, parsed once; the log keeps what came", async () => {
    const world = await startWorld();
    let parses = 0;
    const seen: unknown[] = [];
    const processor = defineProcessor({
      slug: "till",
      initialState: 0,
      events: { "order-placed": order(() => parses++), noted: note },
      reduce({ state, event }) {
        return event.type === "order-placed" ? state + event.payload.cents : state;
      },
      async afterAppend({ event, state, append, attempt }) {
        if (attempt === 1) throw new Error("once more");
        seen.push(event.payload);
        await append({ type: "acted", payload: state });
      },
    });
    await world.start(processor, "/orders");
    await world.client.append("/orders", [
      { type: "order-placed", payload: { cents: "100" } },
      { type: "of-another-type", payload: { cents: "1" } },
      { type: "noted", payload: { to: { name: "Ada" } } },
      { type: "order-placed", payload: { cents: "5", currency: "GBP", note: "hot" } },
    ]);
    const events = await world.until("/orders", ofType("acted", 3));
    expect(seen).toEqual([
      { cents: 100, currency: "EUR" },
      { to: { name: "Ada" } },
      { cents: 5, currency: "GBP", note: "hot" },
    ]);
    expect(events.at(-1)?.payload).toBe(105);
    expect(parses, "a second attempt does not parse again").toBe(2);
    expect(events[1]?.payload).toEqual({ cents: "100" });
  });

  test("what does not parse is told, with the path in the payload, and passed over; also where a transform throws", async () => {
    const world = await startWorld();
    const processor = defineProcessor({
      slug: "strict",
      initialState: null,
      events: { noted: note, thrown: throwing },
      reduce: () => undefined,
      async afterAppend({ event, append }) {
        await append({ type: "acted", payload: event.offset });
      },
    });
    await world.start(processor, "/notes");
    await world.client.append("/notes", [
      { type: "noted", payload: { to: { name: 7 } } },
      { type: "thrown", payload: 1 },
      { type: "noted", payload: { to: { name: "Ada" } } },
    ]);
    const events = await world.until("/notes", ofType("acted"));
    expect(events.at(-1)?.payload).toBe(4);
    const about = (offset: number) => ({ kind: "processor", slug: "strict", offset });
    expect(errors(events)).toEqual([
      {
        message: expect.stringMatching(
          /^The payload of event 2 of \/notes \(noted\) does not parse: to\.name: .*string.*/,
        ),
        about: about(2),
      },
      {
        message: "The payload of event 3 of /notes (thrown) does not parse: this transform throws",
        about: about(3),
      },
    ]);
  });

  test("an asynchronous schema is refused where it first stands in the way: what lies before is done, and it halts", async () => {
    const world = await startWorld();
    const acted: number[] = [];
    const processor = defineProcessor({
      slug: "waiting",
      initialState: null,
      events: { noted: note, "order-placed": asynchronous },
      reduce: () => undefined,
      afterAppend: ({ event }) => void acted.push(event.offset),
    });
    const message = "The schema of order-placed is asynchronous: it answered with a promise. It has to be synchronous.";
    await world.start(processor, "/later");
    await world.client.append("/later", [
      { type: "noted", payload: { to: { name: "Ada" } } },
      { type: "order-placed", payload: { cents: "100" } },
      { type: "noted", payload: { to: { name: "Bob" } } },
    ]);
    const told = (await world.until("/later", isError("goes no further"))).at(-1);
    expect(told?.payload).toEqual({
      message: `waiting goes no further here after 1 attempt: ${message} Start it again to go on.`,
      about: { kind: "processor", slug: "waiting", offset: 3 },
    });
    expect(acted).toEqual([2]);
    const { errors: inTest } = await given(processor).when({ type: "order-placed", payload: { cents: "100" } });
    expect(inTest).toEqual([expect.objectContaining({ message: expect.stringContaining(message) })]);
  });
});
