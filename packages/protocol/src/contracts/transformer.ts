/** Rewriting events that match into new ones. */
import { z } from "zod";
import { defineContract, type EventContract } from "../contract.ts";
import { expression, halt, removal, resumption, slug } from "./fields.ts";

const configured = defineContract({
  name: "jsonata-transformer-configured",
  planned: true,
  payload: z.strictObject({ slug, matcher: expression, transform: expression }),
  example: {
    slug: "slack-command",
    matcher: "$contains(type, 'invalid-event-appended') and payload.rawInput.command = '/ask'",
    transform: "{ 'type': 'question-asked', 'payload': { 'text': payload.rawInput.text } }",
  },
  summary: "Rewrites every event that matches into a new event of the same stream.",
  documentation:
    "Both fields are JSONata over the stored event, and both must compile. Where `matcher` is true, the result of " +
    "`transform` is appended as a new event; the old one stays. A transformer never sees its own output. It has its " +
    "own cursor, so nothing is skipped over a restart. The same slug again replaces it and keeps the cursor.",
});

const removed = defineContract({
  name: "jsonata-transformer-removed",
  planned: true,
  whilePaused: true,
  payload: removal,
  example: { slug: "slack-command" },
  summary: "Ends a transformer.",
  documentation: "The transformer of this slug rewrites no more. Removing one that does not exist changes nothing.",
});

const halted = defineContract({
  name: "jsonata-transformer-halted",
  planned: true,
  serverOnly: true,
  payload: halt,
  example: { slug: "slack-command", offset: 17, message: "The expression did not end within 100 ms.", attempts: 15 },
  summary: "A transformer gave up at an event.",
  documentation:
    "After its last attempt at the event of this offset a transformer stands still until it is resumed, configured " +
    "again or removed. Other consumers of the stream go on.",
});

const resumed = defineContract({
  name: "jsonata-transformer-resumed",
  planned: true,
  payload: resumption,
  example: { slug: "slack-command", from: "cursor" },
  summary: "Lets a halted transformer go on.",
  documentation:
    "`from` says where: at its cursor (the default), so the event that failed is tried again; at the head; or after " +
    "the offset given.",
});

export const transformerContracts: readonly EventContract[] = [configured, removed, halted, resumed];
