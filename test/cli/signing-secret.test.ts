/**
 * A secret that the server made is in one answer only, so every command that may get it prints it. The answer is written
 * out here, so that it can be looked at whole.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { lines, run } from "./run.ts";

const event = (slug: string, name = "subscription/configured") => ({
  streamPath: "/a",
  offset: 2,
  type: `https://events.iterate.com/events/stream/${name}`,
  payload: { slug },
  createdAt: "2026-01-01T00:00:00.000Z",
});
const one = { event: event("audit"), signingSecret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" };
const many = {
  events: [event("audit"), event("toString"), event("audit", "subscription/removed")],
  signingSecrets: { audit: one.signingSecret },
};
const args = ["subscribe", "/a", "--slug", "audit", "--webhook", "https://example.com/h"];

async function answering(answer: object): Promise<Record<string, string>> {
  const server = createServer((request, response) => {
    request.resume();
    response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { MILLRACE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

test("for people: behind the event, with a line that says that it comes once", async () => {
  const { code, stdout, stderr } = await run(args, await answering(one));
  expect(code).toBe(0);
  expect(stdout).toMatch(/\nsigningSecret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n$/);
  expect(stderr).toBe(
    'millrace: this signingSecret of "audit" is shown only now and cannot be read again: the receiver needs it to check webhook-signature\n',
  );
});

test("for programs: a field", async () => {
  const { stdout, stderr } = await run([...args, "--json"], await answering(one));
  expect(stderr).toBe("");
  expect(lines(stdout)).toEqual([{ ...one.event, signingSecret: one.signingSecret }]);
});

test("without one nothing is said", async () => {
  const { stdout, stderr } = await run(args, await answering({ event: one.event }));
  expect(stdout + stderr).not.toContain("signingSecret");
});

test("append shows it too, of a batch at the event that it belongs to", async () => {
  const { stdout } = await run(["append", "/a", "[{},{},{}]", "--json"], await answering(many));
  const [first, ...others] = many.events;
  expect(lines(stdout)).toEqual([{ ...first, signingSecret: one.signingSecret }, ...others]);
});
