/**
 * Expressions that never end or ask for all memory: stopped, told as an event, halted after their attempts. Meanwhile
 * nobody else notices, and nothing of them is left when the server ends.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { evaluatorsOf, isAlive } from "../../packages/millrace/test/evaluators.ts";
import { createReceivers } from "../../packages/millrace/test/receivers.ts";
import { append, breakerOff, getJson, readAll } from "../processes/http.ts";
import { residentBytes, type ServerProcess, startServer } from "../processes/server-process.ts";
import { appendNumbers, consumerOf, patience, payloadsOf, subscribeWebhook, transformer } from "./pushing.ts";

const hostile: Record<string, string> = {
  endless: "($f := function($n){ $f($n + 1) }; $f(0))",
  padded: "$pad('', 536000000, 'x') & 'y'",
  summed: "$sum([1..10000000].($*$))",
};
const slugs = Object.keys(hostile);
const stoppedMessage = /^.*The expression (did not end within 100 ms|needed more than 128 MB of memory)\.$/;
/** Attempts after 1, 2, 4 and 8 s, each up to a quarter later, and time for a busy machine. */
const ladderMs = 60_000;
/** What another's output takes, at the worst, while every process is busy with being stopped. */
const othersMs = 10_000;

const receivers = createReceivers();
let server: ServerProcess;
let url: string;

beforeAll(async () => {
  server = await startServer({ data: ":memory:", args: ["--allow-private-destinations"] });
  url = server.url;
});
afterAll(async () => {
  if (server.pid !== undefined) await server.kill();
  await receivers.dispose();
});

const streamOf = (slug: string) => `/hostile/${slug}`;
const fine = '{"type": "made", "payload": {"of": payload.n}}';
const madeIn = async (path: string) => (await readAll(url, path)).filter(({ type }) => type === "made").length;

test("they are stopped, and nobody else notices", { timeout: 150_000 }, async () => {
  const receiver = await receivers.listen(() => ({ status: 200 }));
  for (const slug of slugs) {
    await append(url, streamOf(slug), [transformer(slug, hostile[slug] as string), transformer("fine", fine)]);
    await subscribeWebhook(url, streamOf(slug), "push", receiver.url);
  }
  await append(url, "/elsewhere", [breakerOff, transformer("fine", fine)]);
  const before = residentBytes(server.pid);
  const sent = await Promise.all(slugs.map((slug) => appendNumbers(url, streamOf(slug), 3)));

  const slowest = { appendMs: 0, madeMs: 0 };
  const deadline = Date.now() + ladderMs;
  for (let made = 1; !(await allHalted()); made++) {
    expect(Date.now()).toBeLessThan(deadline);
    const startedAt = performance.now();
    slowest.appendMs = Math.max(slowest.appendMs, (await appendNumbers(url, "/elsewhere", 1)).slowestMs);
    await expect.poll(() => madeIn("/elsewhere"), { ...patience, timeout: othersMs }).toBe(made);
    slowest.madeMs = Math.max(slowest.madeMs, performance.now() - startedAt);
  }
  expect(slowest.appendMs).toBeLessThan(2_000);
  expect(slowest.madeMs).toBeLessThan(othersMs);

  for (const [index, slug] of slugs.entries()) await expectStopped(slug, sent[index]?.offsets as number[]);
  await expect.poll(() => receiver.received.length, patience).toBe(3 * slugs.length);
  expect(residentBytes(server.pid) - before).toBeLessThan(128 * 1024 * 1024);
  await expectNothingLeft();
});

async function allHalted(): Promise<boolean> {
  const shown = await Promise.all(slugs.map((slug) => consumerOf(url, streamOf(slug), slug)));
  return shown.every((consumer) => consumer?.halted !== undefined);
}

/** At its first event, and it alone: the other transformer of the stream has done everything. */
async function expectStopped(slug: string, [offset = 0]: readonly number[]): Promise<void> {
  const path = streamOf(slug);
  const message = expect.stringMatching(stoppedMessage);
  const errors = await payloadsOf(url, path, "error-occurred");
  expect(errors).toMatchObject([{ message, about: { kind: "transformer", slug, offset } }]);
  const halts = await payloadsOf(url, path, "jsonata-transformer-halted");
  expect(halts).toMatchObject([{ slug, offset, message, attempts: 5 }]);
  expect(await madeIn(path)).toBe(3);
  const { consumers } = await getJson(url, `/api/state${path}`);
  expect(consumers).toMatchObject({ [slug]: { cursor: offset - 1 }, fine: { lag: 0 }, push: { lag: 0 } });
}

async function expectNothingLeft(): Promise<void> {
  // Stopped ones are replaced as they are needed: the one that did the last of it is there.
  const evaluators = evaluatorsOf(server.pid);
  expect(evaluators.length).toBeGreaterThan(0);
  expect(evaluators.length).toBeLessThanOrEqual(2);
  expect(await server.stop("SIGTERM")).toMatchObject({ code: 0, stderr: "" });
  expect(evaluators.filter(isAlive)).toEqual([]);
}
