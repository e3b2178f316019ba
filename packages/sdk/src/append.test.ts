/** What an answer to an append becomes. */
import { expect, test } from "vitest";
import { createEventsClient } from "./client.ts";

const event = { streamPath: "/a", offset: 2, type: "t", payload: {}, createdAt: "2026-01-01T00:00:00.000Z" };
const answering = (answer: object, headers: Record<string, string> = {}) =>
  createEventsClient({ baseUrl: "http://localhost", fetch: async () => Response.json(answer, { headers }) });

test("a secret that the server made is passed on, of one event and of a batch", async () => {
  const one = await answering({ event, signingSecret: "whsec_1" }).append("a", { type: "t" });
  expect(one).toEqual({ event, replayed: false, signingSecret: "whsec_1" });
  const many = await answering({ events: [event], signingSecrets: { s: "whsec_1" } }).append("a", [{ type: "t" }]);
  expect(many).toEqual({ events: [event], replayed: false, signingSecrets: { s: "whsec_1" } });
});

test("without one there is no such field, also of a replay", async () => {
  const replay = await answering({ event }, { "idempotent-replay": "true" }).append("a", { type: "t" });
  expect(replay).toEqual({ event, replayed: true });
});
