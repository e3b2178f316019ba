/** Answers on the left, errors on the right; and which of them are tried again. */
import { errorStatus } from "@millrace/protocol";
import { expect, test } from "vitest";
import { createEventsClient } from "./client.ts";
import { isMillraceError, isTransient, type MillraceError } from "./errors.ts";
import { delayMs, toRetry } from "./retry.ts";

/** What a call throws when the server answers like this; `false` is no answer. */
async function thrownFor(answer: Response | false, retry: { attempts: number } | false = false) {
  let requests = 0;
  const client = createEventsClient({
    baseUrl: "http://localhost",
    retry: retry === false ? false : { ...retry, baseMs: 1 },
    async fetch() {
      requests++;
      if (answer === false) throw new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED") });
      return answer.clone();
    },
  });
  const error = await client.state("a").then(
    () => undefined,
    (error: unknown) => error as MillraceError,
  );
  return { error, requests };
}

const problem = (code: string, status: number, data: object = {}, headers: Record<string, string> = {}) =>
  Response.json(
    { type: `urn:millrace:error:${code}`, title: "t", status, code, detail: "why", ...data },
    { status, headers },
  );

test.each(Object.entries(errorStatus))(
  "%s of the server is an error with that code and status %i",
  async (code, status) => {
    const { error } = await thrownFor(problem(code, status, { head: 7 }));
    expect(error).toMatchObject({ name: "MillraceError", code, status, message: "why", data: { head: 7 } });
    expect(isMillraceError(error)).toBe(true);
    expect(isMillraceError(error, "unreachable")).toBe(false);
    expect(isTransient(error)).toBe([408, 429, 503].includes(status));
  },
);

test.each<[name: string, answer: Response | false, expected: object, transient: boolean]>([
  [
    "no answer",
    false,
    { code: "unreachable", status: undefined, message: expect.stringContaining("ECONNREFUSED") },
    true,
  ],
  [
    "a proxy without a server",
    new Response("Bad gateway", { status: 502 }),
    { code: "unexpected_answer", status: 502 },
    true,
  ],
  ["a proxy without patience", new Response("", { status: 504 }), { code: "unexpected_answer", status: 504 }, true],
  ["a login page", new Response("<html>", { status: 200 }), { code: "unexpected_answer", status: 200 }, false],
  [
    "another server",
    new Response("<h1>404", { status: 404 }),
    { code: "unexpected_answer", data: { body: "<h1>404" } },
    false,
  ],
  ["JSON of another server", Response.json({ error: 1 }, { status: 400 }), { code: "unexpected_answer" }, false],
  ["a wait", problem("unavailable", 503, {}, { "retry-after": "2" }), { retryAfterMs: 2_000 }, true],
])("%s", async (_, answer, expected, transient) => {
  const { error } = await thrownFor(answer);
  expect(error).toMatchObject(expected);
  expect(isTransient(error)).toBe(transient);
});

test("what may pass is tried again as often as was said, what is final never", async () => {
  expect((await thrownFor(false, { attempts: 3 })).requests).toBe(4);
  expect((await thrownFor(problem("unavailable", 503), { attempts: 3 })).requests).toBe(4);
  expect((await thrownFor(problem("stream_paused", 423), { attempts: 3 })).requests).toBe(1);
  expect((await thrownFor(new Response("<html>"), { attempts: 3 })).requests).toBe(1);
  expect((await thrownFor(false, false)).requests).toBe(1);
});

test("waits double up to a limit, half of each is chance, and the server may ask for more", async () => {
  const retry = toRetry({ baseMs: 100, maxMs: 1_000 });
  expect([0, 1, 2, 3, 4, 99].map((attempt) => delayMs(retry, attempt, undefined, 1))).toEqual([
    100, 200, 400, 800, 1_000, 1_000,
  ]);
  expect(delayMs(retry, 1, undefined, 0)).toBe(100);
  const { error } = await thrownFor(problem("unavailable", 503, {}, { "retry-after": "2" }));
  expect(delayMs(retry, 0, error, 0)).toBe(2_000);
});
