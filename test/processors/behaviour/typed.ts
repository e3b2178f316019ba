/** The behaviour suite's processor with a schema, which it brings itself: any library's is the same to whoever calls it. */
import type { HookArguments, Processor, SchemaResult, StandardSchema, StreamEvent } from "@millrace/protocol";

interface Order {
  cups: number;
}

const order: StandardSchema<Order> = {
  "~standard": {
    version: 1,
    vendor: "behaviour",
    validate(value): SchemaResult<Order> {
      const cups = Number((value as { cups?: unknown }).cups);
      return Number.isNaN(cups) ? { issues: [{ message: "expected a number", path: ["cups"] }] } : { value: { cups } };
    },
  },
};

export default {
  slug: "typed",
  initialState: null,
  events: { order },
  reduce: () => undefined,
  async afterAppend({ event, append }: HookArguments<null, StreamEvent<Order>>) {
    await append({ type: "ordered", payload: { type: event.type, cups: event.payload.cups } });
  },
} satisfies Processor<null, StreamEvent<Order>>;
