/** Rewriting events that match into new ones. */
import { z } from "zod";
import { defineContract, type EventContract } from "../contract.ts";
import { expression, halt, removal, resumption, slug } from "./fields.ts";

const configured = defineContract({
  name: "jsonata-transformer-configured",
  payload: z.strictObject({ slug, matcher: expression, transform: expression }),
  example: {
    slug: "slack-command",
    matcher: "type = 'slack-command' and payload.command = '/ask'",
    transform: "{ 'type': 'question-asked', 'payload': { 'text': payload.text } }",
  },
  summary: "Rewrites every event that matches into a new event of the same stream.",
  documentation:
    "Both fields are JSONata over the stored event, and both must compile. Where `matcher` is true, the result of " +
    "`transform` is appended as a new event, or each of a list of events; the old one stays, and where there is no " +
    "result nothing is appended. A transformer begins behind its configuration, and never sees its own output. It " +
    "has its own cursor and its output is keyed, so nothing is skipped and nothing is twice over a restart. An " +
    "expression that fails, or a result that is no event, halts it at once; one that does not end within 100 ms is " +
    "tried five times. The same slug again replaces it, keeps the cursor, and lets it go on if it was halted.",
});

const removed = defineContract({
  name: "jsonata-transformer-removed",
  whilePaused: true,
  payload: removal,
  example: { slug: "slack-command" },
  summary: "Ends a transformer.",
  documentation: "The transformer of this slug rewrites no more. Removing one that does not exist changes nothing.",
});

const halted = defineContract({
  name: "jsonata-transformer-halted",
  serverOnly: true,
  payload: halt,
  example: { slug: "slack-command", offset: 17, message: "The expression did not end within 100 ms.", attempts: 5 },
  summary: "A transformer gave up at an event.",
  documentation:
    "It stands still at the event of this offset until it is resumed, configured again or removed, so that nothing " +
    "is skipped. Other consumers of the stream go on.",
});

const resumed = defineContract({
  name: "jsonata-transformer-resumed",
  payload: resumption,
  example: { slug: "slack-command", from: "cursor" },
  summary: "Lets a halted transformer go on.",
  documentation:
    "`from` says where: at its cursor (the default), so the event that failed is tried again; at the head; or after " +
    "the offset given.",
});

export const transformerContracts: readonly EventContract[] = [configured, removed, halted, resumed];
