/** How a stream comes into being, how the tree above it hears of that, and what it says about itself. */
import { z } from "zod";
import { defineContract, type EventContract } from "../contract.ts";
import { canonicalPath, eventOffset, jsonObject, text } from "./fields.ts";

const initialized = defineContract({
  name: "initialized",
  aliases: ["https://events.iterate.com/stream-initialized"],
  serverOnly: true,
  payload: z.strictObject({ projectSlug: text, path: canonicalPath, streamId: text }),
  example: { projectSlug: "public", path: "/team/inbox", streamId: "0198c0de5a7e7c0a8d1f2b3c4d5e6f70" },
  summary: "A stream came into being.",
  documentation:
    "The first event of every stream, written in the same commit as the first append. A refused first append creates " +
    "nothing. After a deletion the path begins again with another `initialized`, which has a new `streamId` and the " +
    "next offset: offsets are never used twice.",
});

const creator = z
  .strictObject({ streamPath: canonicalPath, offset: eventOffset })
  .describe("The event because of which code made the stream.");

const childStreamCreated = defineContract({
  name: "child-stream-created",
  serverOnly: true,
  payload: z.strictObject({ childPath: canonicalPath, createdBy: creator.optional() }),
  example: { childPath: "/team/inbox", createdBy: { streamPath: "/team", offset: 7 } },
  summary: "A stream came into being somewhere below this one.",
  documentation:
    "Announces a birth to every ancestor, from the parent up to the root, some milliseconds after the append that " +
    "caused it was answered. Each ancestor hears of each birth exactly once, also when the server crashes in between. " +
    "`createdBy` is there when code made the stream: because of that event. Where that is an event of the stream that " +
    "hears it, the news counts for its circuit breaker.",
});

const childStreamDeleted = defineContract({
  name: "child-stream-deleted",
  serverOnly: true,
  payload: z.strictObject({ childPath: canonicalPath, head: eventOffset }),
  example: { childPath: "/team/inbox", head: 42 },
  summary: "A stream below this one was deleted.",
  documentation:
    "Announces a deletion to every ancestor. `head` is the last offset that the deleted stream had; if its path is " +
    "used again, the next event there gets `head` + 1.",
});

const metadataUpdated = defineContract({
  name: "metadata-updated",
  aliases: ["https://events.iterate.com/stream-metadata-updated"],
  payload: z.strictObject({ metadata: jsonObject }),
  example: { metadata: { title: "Inbox of the team", owner: "jonas" } },
  summary: "Replaces the stream's metadata.",
  documentation:
    "The object becomes the stream's metadata as a whole; nothing is merged with what was there before. The current " +
    "metadata is part of the stream's state.",
});

export const lifecycleContracts: readonly EventContract[] = [
  initialized,
  childStreamCreated,
  childStreamDeleted,
  metadataUpdated,
];
