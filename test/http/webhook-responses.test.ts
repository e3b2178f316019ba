/** What a POST is answered with where its stream says so, and that whatever goes wrong the usual answer is given. */
import { expect, test } from "vitest";
import { append, builtin, freshPath, json, post, readAll } from "./calls.ts";
import { describeEach, type TestServer } from "./servers.ts";

const rule = (slug: string, matcher: string, response: string) => ({
  type: builtin("webhook-response-configured"),
  payload: { slug, matcher, response },
});

async function answerTo(server: TestServer, path: string, body: unknown) {
  const response = await post(server, path, JSON.stringify(body), { contentType: json });
  return { status: response.status, type: response.headers.get("content-type"), text: await response.text() };
}

describeEach("a webhook response", (server) => {
  test.each<[response: string, type: string, text: string]>([
    ["payload.challenge", "text/plain; charset=utf-8", "3eZb"],
    ["{'challenge': payload.challenge}", "application/json", '{"challenge":"3eZb"}'],
    ["null", "application/json", "null"],
    ["''", "text/plain; charset=utf-8", ""],
  ])("%s is the answer, and the event is stored", async (response, type, text) => {
    const path = freshPath();
    await append(server(), path, rule("challenge", "type = 'verify'", response));
    const answer = await answerTo(server(), path, { type: "verify", payload: { challenge: "3eZb" } });
    expect(answer).toEqual({ status: 200, type, text });
    expect((await readAll(server(), path)).at(-1)).toMatchObject({ offset: 3, type: "verify" });
  });

  test("what a stranger sent is never a page: no browser guesses at its type", async () => {
    const path = freshPath();
    await append(server(), path, rule("echo", "true", "payload.page"));
    const body = JSON.stringify({ type: "a", payload: { page: "<script>alert(1)</script>" } });
    const { headers } = await post(server(), path, body, { contentType: json });
    expect([headers.get("content-type"), headers.get("x-content-type-options")]).toEqual([
      "text/plain; charset=utf-8",
      "nosniff",
    ]);
  });

  test.each([
    ["which matches nothing", "false", "'ok'"],
    ["that fails", "true", "$error('no')"],
    ["without a result", "true", "nothing"],
    ["that never ends", "true", "($f := function() { $f() }; $f())"],
  ])("a rule %s leaves the usual answer", async (_, matcher, response) => {
    const path = freshPath();
    await append(server(), path, rule("rule", matcher, response));
    const { text } = await answerTo(server(), path, { type: "a" });
    expect(JSON.parse(text)).toMatchObject({ event: { offset: 3, type: "a" } });
  });

  test("the first rule that matches counts, and the same slug again takes its place", async () => {
    const path = freshPath();
    await append(server(), path, [rule("one", "type = 'a'", "'first'"), rule("two", "type = 'a'", "'second'")]);
    expect((await answerTo(server(), path, { type: "a" })).text).toBe("first");
    await append(server(), path, [rule("one", "type = 'a'", "'anew'"), { type: "b" }]);
    expect((await answerTo(server(), path, { type: "a" })).text).toBe("anew");
  });

  test("a batch has the usual answer, and so has what configures the stream: a signing secret is shown only there", async () => {
    const path = freshPath();
    await append(server(), path, rule("all", "true", "'ok'"));
    expect(JSON.parse((await answerTo(server(), path, [{ type: "a" }])).text)).toMatchObject({
      events: [{ offset: 3 }],
    });
    const payload = { slug: "audit", type: "webhook", callbackUrl: "https://receiver.invalid/hook" };
    const configured = { type: builtin("subscription/configured"), payload };
    const { text } = await answerTo(server(), path, configured);
    expect(JSON.parse(text)).toEqual({
      event: expect.objectContaining({ offset: 4 }),
      signingSecret: expect.stringMatching(/^whsec_/),
    });
    expect((await answerTo(server(), path, { command: "/ask" })).text).toBe("ok");
  });
});
