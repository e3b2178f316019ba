/** A stream that pushes: to a webhook, over a WebSocket, or into another stream. */
import { z } from "zod";
import { defineContract, type EventContract } from "../contract.ts";
import { deliverySecondsMax } from "../limits.ts";
import { parsePath } from "../paths.ts";
import { eventOffset, expression, halt, resumption, slug, startFrom, stringRecord, text } from "./fields.ts";

type Destination = {
  type: "webhook" | "websocket" | "stream";
  callbackUrl?: string | undefined;
  path?: string | undefined;
};

type Fault = { path: string[]; message: string };

const secretReference = /\{\{secret:[^{}\s]{1,255}\}\}/;
const wholeSecretReference = /^\{\{secret:[^{}\s]{1,255}\}\}$/;
const anyReference = /\{\{secret:[^{}\s]{1,255}\}\}/g;
const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Of the connection, of the signature, and of the event that a delivery is for. */
const ownHeader =
  /^(host|connection|content-length|expect|keep-alive|proxy-.*|sec-websocket-.*|te|trailer|transfer-encoding|upgrade|webhook-.*|millrace-.*)$/i;
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;

const headers = stringRecord.superRefine((fields, context) => {
  for (const [field, value] of Object.entries(fields)) {
    const message = headerFault(field, value);
    if (message !== undefined) context.addIssue({ code: "custom", message, path: [field] });
  }
});

const configuration = z
  .strictObject({
    slug,
    type: z.enum(["webhook", "websocket", "stream"]),
    callbackUrl: z.string().optional(),
    path: z.string().optional(),
    jsonataFilter: expression.optional(),
    jsonataTransform: expression.optional(),
    headers: headers.optional(),
    signingSecret: z
      .string()
      .regex(wholeSecretReference, "expected {{secret:NAME}}; store the secret first")
      .optional(),
    timeoutSeconds: z
      .number()
      .gt(0, "expected a number above 0")
      .max(deliverySecondsMax, `expected at most ${deliverySecondsMax} seconds`)
      .optional(),
    startFrom: startFrom.optional(),
  })
  .superRefine((payload, context) => {
    const fault = destinationFault(payload);
    if (fault !== undefined) context.addIssue({ code: "custom", ...fault });
  });

const configured = defineContract({
  name: "subscription/configured",
  aliases: ["https://events.iterate.com/stream-subscription-configured"],
  payload: configuration,
  example: {
    slug: "audit",
    type: "webhook",
    callbackUrl: "https://example.com/hooks/audit",
    jsonataFilter: "type = 'order-placed'",
    headers: { authorization: "Bearer {{secret:AUDIT_TOKEN}}" },
    startFrom: "end",
  },
  summary: "Pushes the stream's events to a webhook, over a WebSocket or into another stream.",
  documentation:
    "Events are delivered in order and at least once, from a cursor of the subscription's own, with retries that " +
    "back off, also while the stream is paused. `jsonataFilter` chooses which events, `jsonataTransform` what is sent " +
    "for them (nothing, where it has no result). `webhook` needs a `callbackUrl`: each event is a POST, signed as " +
    'Standard Webhooks describes, with `signingSecret: "{{secret:NAME}}"` or with a secret that the server makes and ' +
    "shows in the first answer only. `stream` needs the `path` of another stream of the project, so that a parent " +
    "wakes on a child's result; events of built-in types are forwarded only by a `jsonataTransform`, because they " +
    "would act there. `websocket` needs a `callbackUrl`, to which the server opens a WebSocket, signed in the same " +
    "way: each event is a frame that the peer acknowledges, up to 100 of them are under way, and the peer may append " +
    "over it. Headers may refer to secrets; a literal `authorization` is refused, because events can be read. What " +
    "the stream says about a subscription is not delivered to it. The same slug again replaces the subscription and " +
    "keeps its cursor unless `startFrom` is given.",
});

const removed = defineContract({
  name: "subscription/removed",
  whilePaused: true,
  payload: z.strictObject({ slug, reason: text.optional() }),
  example: { slug: "audit" },
  summary: "Ends a subscription.",
  documentation:
    "Nothing more is pushed. Removing a subscription that does not exist changes nothing. The server appends it, with " +
    "the reason, when a receiver answers 410.",
});

const halted = defineContract({
  name: "subscription/halted",
  serverOnly: true,
  payload: halt,
  example: { slug: "audit", offset: 17, message: "https://example.com answered 500.", attempts: 15 },
  summary: "A subscription gave up at an event.",
  documentation:
    "An unreachable receiver never loses an event: after the last attempt the subscription stands still at this " +
    "offset until it is resumed, configured again or removed.",
});

const resumed = defineContract({
  name: "subscription/resumed",
  payload: resumption,
  example: { slug: "audit", from: "cursor" },
  summary: "Lets a halted subscription go on.",
  documentation:
    "`from` says where: at its cursor (the default), so that nothing is skipped; at the head; or after the offset " +
    "given.",
});

const eventParked = defineContract({
  name: "subscription/event-parked",
  serverOnly: true,
  payload: z.strictObject({
    slug,
    offset: eventOffset,
    status: z.int().min(100, "expected an HTTP status").max(599, "expected an HTTP status").optional(),
    message: text,
    attempts: z.int().min(1, "expected 1 or more").optional(),
  }),
  example: {
    slug: "audit",
    offset: 18,
    status: 422,
    message: "https://example.com refused the event three times.",
    attempts: 3,
  },
  summary: "A receiver refused one event for good; the subscription went on behind it.",
  documentation:
    "Only an event that the receiver itself refuses (400, 413 or 422, three times) is skipped, and this event says " +
    "which. It stays in the stream: `subscription/event-replay-requested` delivers it again. An event that itself " +
    "says that something failed is skipped without another one, so that failures cannot feed each other.",
});

const eventReplayRequested = defineContract({
  name: "subscription/event-replay-requested",
  payload: z.strictObject({ slug, offset: eventOffset }),
  example: { slug: "audit", offset: 18 },
  summary: "Delivers one event again, such as one that was parked.",
  documentation:
    "When the subscription comes to this event, it delivers the event of that offset as it would have then, with the " +
    "same `webhook-id`, whether or not it was delivered before. What came between is not delivered again. What " +
    "lies behind this event has its own turn only.",
});

export const subscriptionContracts: readonly EventContract[] = [
  configured,
  removed,
  halted,
  resumed,
  eventParked,
  eventReplayRequested,
];

function headerFault(field: string, value: string): string | undefined {
  if (!headerName.test(field)) return "expected the name of an HTTP header";
  if (ownHeader.test(field)) return "the server sets this header itself";
  if (!headerValue.test(value)) return "expected a header's value, without line breaks";
  if (/\{\{\s*secret/i.test(value.replaceAll(anyReference, ""))) return "a reference to a secret is {{secret:NAME}}";
  if (field.toLowerCase() !== "authorization" || secretReference.test(value)) return undefined;
  return "expected a secret, such as Bearer {{secret:NAME}}; events can be read, so a literal one is given away";
}

function destinationFault({ type, callbackUrl, path }: Destination): Fault | undefined {
  if (type === "stream") {
    if (callbackUrl !== undefined) return at("callbackUrl", "a subscription of type stream has a path instead");
    return at("path", path === undefined ? "is missing; expected the path of a stream" : pathFault(path));
  }
  if (path !== undefined) return at("path", `a subscription of type ${type} has a callbackUrl instead`);
  return at("callbackUrl", callbackUrl === undefined ? "is missing; expected a URL" : urlFault(type, callbackUrl));
}

function urlFault(type: "webhook" | "websocket", callbackUrl: string): string | undefined {
  const schemes = type === "webhook" ? ["http:", "https:"] : ["ws:", "wss:", "http:", "https:"];
  const url = URL.canParse(callbackUrl) ? new URL(callbackUrl) : undefined;
  if (url === undefined || !schemes.includes(url.protocol)) {
    return `expected a URL that begins with ${schemes.map((scheme) => `${scheme}//`).join(" or ")}`;
  }
  if (/\{\{secret:/.test(callbackUrl)) return "a secret can stand in headers only: URLs are written into logs";
  if (url.username === "" && url.password === "") return undefined;
  return "expected a URL without user name and password; put them into a header, as {{secret:NAME}}";
}

function pathFault(path: string): string | undefined {
  try {
    parsePath(path);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function at(field: string, message: string | undefined): Fault | undefined {
  return message === undefined ? undefined : { path: [field], message };
}
