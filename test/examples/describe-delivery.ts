/** What is answered, what is not, and how it stands in the log. */
import { writeFileSync } from "node:fs";
import type { StreamEvent } from "@millrace/protocol";
import { expect, test } from "vitest";
import { append, builtin, readAll } from "../processes/http.ts";
import { runCommand, startServer, temporaryDirectory } from "../processes/server-process.ts";
import { type Fixture, isPong, toPing } from "./fixture.ts";
import { expectOneAnswerEach, judge, pongsOf } from "./judge.ts";

export function describeDelivery({ server, stream, start, launch, saved, save, ping, until }: Fixture): void {
  test("answers each ping, and says who it is and why", async () => {
    const path = "/pings/a~b:c+d=e@f.g";
    const processor = await start(path);
    const [born] = await append(server.url, path, toPing(1));
    const events = await until(path, isPong(1));
    const streamId = streamIdOf(events);
    expect(events[2]).toMatchObject({
      payload: { n: 1, count: 1 },
      idempotencyKey: `ping-pong/${streamId}/${born?.offset}/0`,
      source: { kind: "remote", slug: "ping-pong", cause: { streamPath: path, offset: 2 }, depth: 1 },
    });
    await append(server.url, path, toPing({ any: ["JSON", "\u2028 \ud83d\ude00 é"] }), { "millrace-depth": "6" });
    const [, , , , pong] = await until(path, ({ type, offset }) => type === "pong" && offset > 4);
    expect(pong).toMatchObject({ payload: { n: { any: ["JSON", "\u2028 😀 é"] }, count: 2 }, source: { depth: 8 } });
    expect(processor.output()).not.toContain("waiting");
  });

  test("begins at the head: history is reduced, and never acted on", async () => {
    const path = await stream();
    await ping(path, 1, 2, 3);
    const first = await start(path);
    await first.kill();
    await start(path);
    await ping(path, 4);
    expect(pongsOf(await until(path, isPong(4)))).toEqual([{ n: 4, count: 4 }]);
  });

  test("told to begin at the start, it decides once on all that was there", async () => {
    const path = await stream();
    await ping(path, 1, 2, 3);
    await start(path, ["--from", "start"]);
    const events = await until(path, isPong(3));
    expect(pongsOf(events)).toEqual([{ n: 3, count: 3, missed: { after: 0, through: 5 } }]);
  });

  test("a hundred missed pings are one decision", async () => {
    const path = await stream();
    const first = await start(path);
    await ping(path, 0);
    await until(path, isPong(0));
    await first.kill();
    await ping(path, ...Array.from({ length: 100 }, (_, i) => i + 1));
    const second = await start(path);
    await until(path, isPong(100));
    await second.kill();
    await start(path);
    await ping(path, "last");
    const events = await until(path, isPong("last"));
    expect(pongsOf(events)).toEqual([
      { n: 0, count: 1 },
      { n: 100, count: 101, missed: { after: expect.any(Number), through: expect.any(Number) } },
      { n: "last", count: 102 },
    ]);
    expectOneAnswerEach(events, 102);
  });

  test("a ping of its own name, and what is stored under the key of another attempt, is not answered", async () => {
    const path = await stream();
    await start(path);
    await append(server.url, path, toPing("own"), { "millrace-processor": "ping-pong" });
    const streamId = streamIdOf(await readAll(server.url, path));
    const first = { type: "answered-otherwise", idempotencyKey: `ping-pong/${streamId}/5/0` };
    await append(server.url, path, [first, toPing("conflict"), toPing("last")]);
    expect(pongsOf(await until(path, isPong("last")))).toEqual([{ n: "last", count: 3 }]);
  });

  test("what will never be accepted is said once, and it goes on", async () => {
    const path = await stream();
    await start(path);
    const room = 1_048_576 - JSON.stringify(toPing("")).length;
    const [tooLarge] = await append(server.url, path, toPing("x".repeat(room)));
    await ping(path, 2);
    const events = await until(path, isPong(2));
    expect(pongsOf(events)).toEqual([{ n: 2, count: 2 }]);
    expect(events.filter(({ type }) => type === builtin("error-occurred")).map(({ payload }) => payload)).toEqual([
      {
        message: expect.stringMatching(/^413 .*1048576|^413 /),
        about: { kind: "processor", slug: "ping-pong", offset: tooLarge?.offset },
      },
    ]);
  });

  test("while the stream is paused it waits, and answers when it is resumed", async () => {
    const path = await stream();
    const processor = await start(path);
    await append(server.url, path, [toPing(1), toPing(2), { type: builtin("paused") }]);
    await processor.said(/paused: waiting for resumed/);
    await append(server.url, path, { type: builtin("resumed") });
    await ping(path, 3);
    const events = await until(path, isPong(3));
    expect(pongsOf(events).map(({ n }) => n)).toEqual([1, 2, 3]);
    expectOneAnswerEach(events, 3);
  });

  test("what was missed is decided on when the pause is over, also after another restart", async () => {
    const path = await stream();
    await (await start(path)).kill();
    await append(server.url, path, [toPing(1), toPing(2), { type: builtin("paused") }]);
    for (const _ of [1, 2]) await (await start(path)).kill();
    await start(path);
    await append(server.url, path, { type: builtin("resumed") });
    const events = await until(path, isPong(2));
    expect(pongsOf(events)).toHaveLength(1);
    expectOneAnswerEach(events, 2);
  });

  test("another version of the reducer reduces again from the start, and answers nothing twice", async () => {
    const path = await stream();
    const first = await start(path);
    await ping(path, 1, 2);
    await until(path, isPong(2));
    await first.kill();
    const { cursor } = saved(path);
    save(path, { version: 0, state: { pings: 1_000 }, cursor });
    await start(path);
    await ping(path, 3);
    const events = await until(path, isPong(3));
    expect(pongsOf(events).at(-1)).toEqual({ n: 3, count: 3 });
    expectOneAnswerEach(events, 3);
  });

  test("the deletion of the stream ends it, and another life begins anew", async () => {
    const path = await stream();
    const first = await start(path);
    await ping(path, 1);
    await until(path, isPong(1));
    await runCommand(["delete", path, "--yes", "--url", server.url]);
    expect(await first.exited).toMatchObject({ code: 0, stdout: expect.stringContaining("deleted") });
    await ping(path, 2);
    await start(path);
    const events = await until(path, isPong(2));
    expect(pongsOf(events)).toEqual([{ n: 2, count: 1, missed: { after: expect.any(Number), through: 6 } }]);
    expect([...judge(events).values()]).toEqual([1]);
  });

  test("takes server, project and token from the environment, and ends when it is refused", async () => {
    const { directory, remove } = temporaryDirectory();
    const token = "a token of sixteen characters";
    writeFileSync(`${directory}/token`, token);
    const guarded = await startServer({ data: ":memory:", args: ["--token-file", `${directory}/token`] });
    try {
      const env = { MILLRACE_URL: guarded.url, MILLRACE_PROJECT: "demo", MILLRACE_TOKEN: token };
      await launch("/guarded", [], env).said(/caught up/);
      const headers = { authorization: `Bearer ${token}`, "x-project-slug": "demo" };
      await append(guarded.url, "/guarded", toPing(1), headers);
      const target = `${guarded.url}/api/streams/guarded?live=true&type=pong&limit=1`;
      expect(await (await fetch(target, { headers })).text()).toContain('"payload":{');
      const stranger = launch("/refused", [], { MILLRACE_URL: guarded.url });
      expect(await stranger.exited).toMatchObject({ code: 1, stderr: expect.stringContaining("refused: 401") });
    } finally {
      await guarded.kill();
      remove();
    }
  });
}

const streamIdOf = (events: StreamEvent[]) => (events[0] as StreamEvent<{ streamId: string }>).payload.streamId;
