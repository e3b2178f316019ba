/** What a POST to the stream is answered with. */
import { z } from "zod";
import { defineContract, type EventContract } from "../contract.ts";
import { expression, slug } from "./fields.ts";

const webhookResponseConfigured = defineContract({
  name: "webhook-response-configured",
  payload: z.strictObject({ slug, matcher: expression, response: expression }),
  example: { slug: "slack-challenge", matcher: "payload.rawInput.challenge", response: "payload.rawInput.challenge" },
  summary: "Answers a POST in the way that a third party expects.",
  documentation:
    "Some senders of webhooks want a certain answer, such as Slack its `challenge`. Where the JSONata `matcher` is " +
    "true for the event that a POST stored, the result of `response` is the answer: a string as plain text, " +
    "everything else as JSON. The first that matches counts, in the order in which the slugs were configured. Each " +
    "has 100 ms, and all together two seconds; after that, or where one fails, the usual answer is given. A batch is " +
    "always answered as usual, and so are built-in events but `invalid-event-appended`. The same slug again replaces " +
    "one; a `matcher` of `false` ends it.",
});

export const webhookResponseContracts: readonly EventContract[] = [webhookResponseConfigured];
