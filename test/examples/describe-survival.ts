/** What a processor survives: being killed anywhere, a server that is killed or not there yet, a connection that is cut. */
import { readFileSync, writeFileSync } from "node:fs";
import { createSeededRandom } from "@millrace/testing";
import { expect, test } from "vitest";
import { append, breakerOff, builtin, readAll } from "../processes/http.ts";
import { startServer, temporaryDirectory } from "../processes/server-process.ts";
import { startCuttingProxy } from "../sdk/cutting-proxy.ts";
import { type Fixture, isPong, toPing } from "./fixture.ts";
import { expectOneAnswerEach, pongsOf } from "./judge.ts";

export function describeSurvival({
  server,
  stream,
  start,
  launch,
  save,
  saved,
  ping,
  until,
  cursorFile,
}: Fixture): void {
  test("killed between its append and its cursor, it does not answer again", async () => {
    const path = await stream();
    const first = await start(path);
    await ping(path, 1);
    await until(path, isPong(1));
    const before = readFileSync(cursorFile(path), "utf8");
    const [second] = await ping(path, 2);
    await until(path, isPong(2));
    await first.kill();
    writeFileSync(cursorFile(path), before);
    save(path, { begun: second?.offset as number });
    await start(path);
    await ping(path, 3);
    const events = await until(path, isPong(3));
    expect(pongsOf(events)).toHaveLength(3);
    expectOneAnswerEach(events, 3);
  });

  test("killed before its append, it settles the interrupted ping by itself, and the rest by one decision", async () => {
    const path = await stream();
    await (await start(path)).kill();
    const [begun] = await ping(path, 1, 2, 3);
    save(path, { begun: begun?.offset as number });
    await start(path);
    const events = await until(path, isPong(3));
    const { streamId } = saved(path);
    expect(pongsOf(events)).toEqual([
      { n: 1, count: 1 },
      { n: 3, count: 3, missed: { after: begun?.offset, through: 5 } },
    ]);
    const keys = events.filter(({ type }) => type === "pong").map(({ idempotencyKey }) => idempotencyKey);
    expect(keys).toEqual([3, 5].map((offset) => `ping-pong/${streamId}/${offset}/0`));
  });

  test("killed within a hook, it runs that again", async () => {
    const path = await stream();
    const first = await start(path);
    await append(server.url, path, [toPing(1), { type: builtin("paused") }]);
    await first.said(/paused: waiting for resumed/);
    await first.kill();
    await append(server.url, path, { type: builtin("resumed") });
    await start(path);
    const events = await until(path, isPong(1));
    expect(pongsOf(events)).toEqual([{ n: 1, count: 1 }]);
    expectOneAnswerEach(events, 1);
  });

  test("killed at random moments, it loses and doubles nothing", async () => {
    const path = await stream();
    const random = createSeededRandom(11);
    const kills = process.env.MILLRACE_LONG ? 100 : 15;
    const proxy = await startCuttingProxy(server.url);
    await (await start(path)).kill();
    let sent = 0;
    let writing = true;
    const writer = (async () => {
      while (writing) await ping(path, ++sent);
    })();
    try {
      for (let i = 0; i < kills; i++) {
        const processor = launch(path, ["--url", proxy.url]);
        // Each request is a connection: it is killed in the middle of one, which then arrives at the server or does not.
        let left = 1 + random.integer(8);
        await new Promise<void>((resolve) => {
          proxy.cutAfter(() => {
            if (--left !== 0) return undefined;
            if (random.integer(2) === 0) proxy.cut();
            void processor.kill().then(() => resolve());
            return undefined;
          });
        });
      }
      proxy.cutAfter(() => undefined);
      await start(path);
      writing = false;
      await writer;
      await ping(path, "last");
      const events = await until(path, isPong("last"));
      expect(sent).toBeGreaterThan(kills);
      expectOneAnswerEach(events, sent + 1);
      const pongs = pongsOf(events);
      expect(pongs.some(({ missed }) => missed !== undefined)).toBe(true);
      expect(pongs.some(({ missed }) => missed === undefined)).toBe(true);
    } finally {
      writing = false;
      await writer;
      await proxy.close();
    }
  });

  test("waits for a server that is not there yet, and for one that is killed: every ping is answered", async () => {
    const { directory, remove } = temporaryDirectory();
    let home = await startServer({ data: directory });
    const { port, url } = home;
    await home.kill();
    const processor = launch("/home", ["--url", url]);
    await processor.said(/waiting for http/);
    try {
      home = await startServer({ data: directory, port });
      await processor.said(/caught up/);
      await append(url, "/home", breakerOff);
      for (let round = 1; round <= 3; round++) {
        await append(url, "/home", [toPing(2 * round - 1), toPing(2 * round)]);
        await home.kill();
        home = await startServer({ data: directory, port });
      }
      await append(url, "/home", toPing("last"));
      await fetch(`${url}/api/streams/home?live=true&limit=7&type=pong`).then((answer) => answer.text());
      const events = await readAll(url, "/home");
      expect(pongsOf(events)).toEqual([1, 2, 3, 4, 5, 6, "last"].map((n, i) => ({ n, count: i + 1 })));
    } finally {
      await home.kill();
      remove();
    }
  });

  test("a connection that is cut for a moment loses nothing: what came meanwhile is acted on", async () => {
    const path = await stream();
    const proxy = await startCuttingProxy(server.url);
    const random = createSeededRandom(5);
    try {
      proxy.cutAfter(() => 300 + random.integer(2_000));
      const processor = await start(path, [], proxy.url);
      for (let n = 1; n <= 12; n++) await ping(path, n);
      await until(path, isPong(12));
      proxy.cutAfter(() => undefined);
      proxy.cut();
      await ping(path, 13, 14);
      const events = await until(path, isPong(14));
      expect(pongsOf(events).every(({ missed }) => missed === undefined)).toBe(true);
      expectOneAnswerEach(events, 14);
      expect(processor.output()).toMatch(/waiting/);
    } finally {
      await proxy.close();
    }
  });

  test("after a long absence, what came meanwhile was missed", async () => {
    const path = await stream();
    const proxy = await startCuttingProxy(server.url);
    try {
      await start(path, ["--away", "0.01"], proxy.url);
      await ping(path, 1);
      await until(path, isPong(1));
      proxy.cut();
      await ping(path, 2, 3, 4);
      const events = await until(path, isPong(4));
      expect(pongsOf(events)).toMatchObject([{ n: 1 }, { n: 4, count: 4, missed: { through: expect.any(Number) } }]);
      await ping(path, 5);
      expectOneAnswerEach(await until(path, isPong(5)), 5);
    } finally {
      await proxy.close();
    }
  });

  test("a connection that says nothing for too long is opened again", async () => {
    const path = await stream();
    const processor = await start(path, ["--silence", "0.3"]);
    await processor.said(/waiting for http.*timed? ?out/i);
    await ping(path, 1);
    await until(path, isPong(1));
  });
}
