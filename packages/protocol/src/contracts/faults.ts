/** Nothing that is sent is lost, and a failure is an event: the two types that keep those promises. */
import { z } from "zod";
import { defineContract, type EventContract } from "../contract.ts";
import { eventOffset, json, slug, text } from "./fields.ts";

const invalidEventAppended = defineContract({
  name: "invalid-event-appended",
  payload: z.strictObject({ rawInput: json, error: text, contentType: z.string().optional() }),
  example: {
    rawInput: { hogwash: "yes!" },
    error: "type: expected a string, got nothing",
    contentType: "application/json",
  },
  summary: "Something was sent that is not a valid event; here it is.",
  documentation:
    "A body that is no valid event is stored as this one and answered with 200, so that any webhook or web form can " +
    "be pointed at a stream. `rawInput` holds what was sent: the JSON value, the text as it came, or base64 " +
    "where the bytes are no UTF-8. `error` names the field that was wrong. A transformer or a processor can turn it " +
    "into the event that was meant.",
});

const errorOccurred = defineContract({
  name: "error-occurred",
  payload: z.strictObject({
    message: text,
    about: z.strictObject({ kind: text, slug, offset: eventOffset }).optional(),
    error: json.optional(),
  }),
  example: {
    message: "The model did not answer within 60 seconds.",
    about: { kind: "processor", slug: "agent", offset: 12 },
    error: { name: "TimeoutError" },
  },
  summary: "Something failed.",
  documentation:
    "When the hook of a processor in the server fails, the server says so in the stream, once for each event at which " +
    "it does; anyone may append one too. `about` names the consumer that failed and the event at which it did. " +
    "Everyone's reducer sees it, but it is never given to the `afterAppend` of the consumer that it names, so a " +
    "failure cannot feed itself.",
});

export const faultContracts: readonly EventContract[] = [invalidEventAppended, errorOccurred];
