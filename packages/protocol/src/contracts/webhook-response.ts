/** What a POST to the stream is answered with. */
import { z } from "zod";
import { defineContract, type EventContract } from "../contract.ts";
import { expression, slug } from "./fields.ts";

const webhookResponseConfigured = defineContract({
  name: "webhook-response-configured",
  planned: true,
  payload: z.strictObject({ slug, matcher: expression, response: expression }),
  example: { slug: "slack-challenge", matcher: "payload.rawInput.challenge", response: "payload.rawInput.challenge" },
  summary: "Answers a POST in the way that a third party expects.",
  documentation:
    "Some senders of webhooks want a certain answer, such as Slack its `challenge`. Where the JSONata `matcher` is " +
    "true for the event that a POST stored, the result of `response` is the answer. Both are evaluated before the " +
    "answer and have 100 ms; after that, or if they fail, the usual answer is given.",
});

export const webhookResponseContracts: readonly EventContract[] = [webhookResponseConfigured];
