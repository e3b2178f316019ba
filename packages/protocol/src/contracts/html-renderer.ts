/** How the web UI shows an event. The server stores it and does nothing with it. */
import { z } from "zod";
import { defineContract, type EventContract } from "../contract.ts";
import { expression, slug, text } from "./fields.ts";

const htmlRendererConfigured = defineContract({
  name: "html-renderer-configured",
  planned: true,
  payload: z.strictObject({ slug, matcher: expression, template: text }),
  example: { slug: "greeting", matcher: "type = 'hello-world'", template: "<p>Hello, {{payload.name}}!</p>" },
  summary: "Tells the web UI how to show the events that match.",
  documentation:
    "Where the JSONata `matcher` is true for a stored event, the web UI fills the template with that event and shows " +
    "the result inside a sandboxed frame. The latest configuration of a slug counts. Nothing on the server depends " +
    "on it.",
});

export const htmlRendererContracts: readonly EventContract[] = [htmlRendererConfigured];
