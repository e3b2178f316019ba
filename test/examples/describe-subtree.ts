/** One processor for a stream and everything below it: one state and one cursor for each. */
import { expect, test } from "vitest";
import { append, breakerOff, builtin, readAll } from "../processes/http.ts";
import { runCommand } from "../processes/server-process.ts";
import { type Fixture, isPong, toPing } from "./fixture.ts";
import { expectOneAnswerEach, pongsOf } from "./judge.ts";

export function describeSubtree({ server, start, ping, until }: Fixture): void {
  const below = (top: string) => [top, `${top}/a`, `${top}/b/c`] as const;
  const ends = async (streams: readonly string[], n: unknown) => {
    for (const stream of streams) await until(stream, isPong(n));
  };

  test("each stream has its answers, its count and its own decision on what was missed", async () => {
    const streams = below("/subtree/missed");
    const [top, a] = streams;
    for (const stream of [top, a]) await append(server.url, stream, [breakerOff, toPing("history")]);
    const first = await start(top, ["--children"]);
    for (const stream of streams) await ping(stream, 1, 2);
    await ends(streams, 2);
    await first.kill();
    for (const stream of streams) await ping(stream, 3, 4, 5);
    await start(top, ["--children"]);
    await ends(streams, 5);
    for (const stream of streams) await ping(stream, 6);
    await ends(streams, 6);
    for (const stream of streams) {
      const pongs = pongsOf(await readAll(server.url, stream));
      const before = stream === streams[2] ? 0 : 1;
      expect(pongs.map(({ n, count }) => [n, count - before])).toEqual([1, 2, 5, 6].map((n) => [n, n]));
      expect(pongs.map(({ missed }) => missed !== undefined)).toEqual([false, false, true, false]);
    }
  });

  test("a paused stream holds up no other, and loses nothing over a restart", async () => {
    const [top, a, c] = below("/subtree/paused");
    const first = await start(top, ["--children"]);
    await append(server.url, a, [toPing(1), { type: builtin("paused") }]);
    await first.said(/paused: waiting for resumed in \/subtree\/paused\/a/);
    for (let n = 1; n <= 3; n++) await ping(c, n);
    await until(c, isPong(3));
    await first.kill();
    await ping(c, 4);
    await start(top, ["--children"]);
    await until(c, isPong(4));
    await append(server.url, a, { type: builtin("resumed") });
    const ofA = await until(a, isPong(1));
    expectOneAnswerEach(ofA, 1);
    expectOneAnswerEach(await readAll(server.url, c), 4);
  });

  test("a deleted stream is forgotten, whatever was to be done in it, and its next life begins anew", async () => {
    const [top, a, c] = below("/subtree/deleted");
    const processor = await start(top, ["--children"]);
    await ping(a, 1, 2);
    await until(a, isPong(2));
    await append(server.url, c, [toPing(1), { type: builtin("paused") }]);
    await processor.said(/paused: waiting for resumed/);
    for (const stream of [a, c]) await runCommand(["delete", stream, "--yes", "--url", server.url]);
    await until(top, ({ type, payload }) => type === builtin("child-stream-deleted") && isAbout(payload, c));
    await ping(top, "told");
    await until(top, isPong("told"));
    expect(await readAll(server.url, c)).toEqual([]);
    await ping(a, 3);
    expect(pongsOf(await until(a, isPong(3)))).toEqual([{ n: 3, count: 1 }]);
  });
}

const isAbout = (payload: unknown, path: string) => (payload as { childPath: string }).childPath === path;
