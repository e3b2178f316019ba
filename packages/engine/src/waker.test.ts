/** The alarm clock alone: claims on a shelf that the test fills, a clock that only the test moves. */
import { createManualClock, type ManualClock } from "@millrace/testing";
import { expect, test } from "vitest";
import { untilQuiet } from "../test/world.ts";
import type { Wake } from "./ports/log.ts";
import { createWaker, type Waker } from "./waker.ts";

interface House {
  clock: ManualClock;
  waker: Waker;
  /** Claims on disk, by path. */
  claims: Map<string, number>;
  /** What was woken, with the seconds since the start. */
  woken: string[];
  /** Ranges that were looked through, in seconds since the start. */
  looks: string[];
  failures: unknown[];
  armed(): number;
  claim(path: string, inSeconds: number): void;
  pass(seconds: number, step?: number): Promise<void>;
}

interface Options {
  wake?(path: string): Promise<void> | void;
  beforeLook?(): Promise<void> | void;
  pageMax?: number;
}

function createHouse({ wake, beforeLook, pageMax = Number.POSITIVE_INFINITY }: Options = {}): House {
  const manual = createManualClock();
  const start = manual.now();
  const seconds = () => (manual.now() - start) / 1_000;
  const timers = new Set<object>();
  const clock: ManualClock = {
    ...manual,
    setTimer(delayMs, run) {
      const timer = {};
      timers.add(timer);
      const cancel = manual.setTimer(delayMs, () => {
        timers.delete(timer);
        run();
      });
      return () => {
        timers.delete(timer);
        cancel();
      };
    },
  };
  const claims = new Map<string, number>();
  const woken: string[] = [];
  const looks: string[] = [];
  const failures: unknown[] = [];
  const waker = createWaker({
    clock,
    async wakes({ after, through, limit }) {
      looks.push(
        `${after === Number.NEGATIVE_INFINITY ? "start" : (after - start) / 1_000}-${(through - start) / 1_000}`,
      );
      const sorted: Wake[] = [...claims].map(([path, wakeAt]) => ({ project: "p", path, wakeAt }));
      sorted.sort((a, b) => a.wakeAt - b.wakeAt);
      const all = sorted.filter(({ wakeAt }) => wakeAt > after && wakeAt <= through);
      const reached = all[Math.min(limit, pageMax) - 1]?.wakeAt ?? through;
      const next = sorted.find(({ wakeAt }) => wakeAt > reached)?.wakeAt ?? null;
      // As with a disk: what is asked for is looked up, and answered later.
      await beforeLook?.();
      return { wakes: all.filter(({ wakeAt }) => wakeAt <= reached), through: reached, next };
    },
    async wake(_, path) {
      woken.push(`${path} at ${seconds()}`);
      await wake?.(path);
      if ((claims.get(path) ?? Number.POSITIVE_INFINITY) <= manual.now()) claims.delete(path);
    },
    onFailure: (error) => failures.push((error as Error).message),
  });
  return {
    clock,
    waker,
    claims,
    woken,
    looks,
    failures,
    armed: () => timers.size,
    claim(path, inSeconds) {
      const at = manual.now() + inSeconds * 1_000;
      claims.set(path, at);
      waker.claimed("p", path, at);
    },
    async pass(seconds, step = 1) {
      for (let passed = 0; passed < seconds; passed += step) {
        clock.advance(Math.min(step, seconds - passed) * 1_000);
        await untilQuiet();
        expect(timers.size, "timers").toBeLessThanOrEqual(1);
      }
    },
  };
}

test("with nothing on the shelf it looks once, and arms nothing", async () => {
  const house = createHouse();
  house.waker.start();
  await untilQuiet();
  expect(house.looks).toEqual(["start-60"]);
  expect(house.armed()).toBe(0);
});

test("what is due at the start is woken at once, what is near at its time, what is far when it has come near", async () => {
  const house = createHouse();
  const at = (seconds: number) => house.clock.now() + seconds * 1_000;
  house.claims.set("/overdue", at(-3_600)).set("/now", at(0)).set("/near", at(30)).set("/far", at(100_000));
  house.waker.start();
  await untilQuiet();
  expect(house.woken).toEqual(["/overdue at 0", "/now at 0"]);
  await house.pass(100_000, 10);
  expect(house.woken.slice(2)).toEqual(["/near at 30", "/far at 100000"]);
  expect(house.looks.length, "not again and again").toBeLessThan(6);
  expect(house.armed()).toBe(0);
});

test("claims before and behind the horizon are woken at their time, once", async () => {
  const house = createHouse();
  house.waker.start();
  await untilQuiet();
  house.claim("/near", 5);
  house.claim("/edge", 60);
  house.claim("/behind", 61);
  house.claim("/far", 500);
  house.claim("/past", -5);
  await house.pass(600);
  expect(house.woken).toEqual(["/past at 0", "/near at 5", "/edge at 60", "/behind at 61", "/far at 500"]);
  expect(house.armed()).toBe(0);
});

test("a claim that is committed while it looks is not lost, wherever it lies", async () => {
  for (const inSeconds of [-5, 0, 10, 59, 60, 61, 90, 10_000]) {
    const house: House = createHouse({
      beforeLook() {
        if (house.looks.length === 1) house.claim("/meanwhile", inSeconds);
      },
    });
    house.waker.start();
    await house.pass(Math.max(inSeconds, 0) + 100, 1);
    expect(new Set(house.woken), `in ${inSeconds} s`).toEqual(new Set([`/meanwhile at ${Math.max(inSeconds, 0)}`]));
    expect(house.armed()).toBe(0);
  }
});

test("many at one moment come in pages, and all of them are woken", async () => {
  const house = createHouse({ pageMax: 10 });
  const start = house.clock.now();
  for (let n = 0; n < 50; n++) house.claims.set(`/same${n}`, start + 20_000);
  for (let n = 0; n < 50; n++) house.claims.set(`/own${n}`, start + 21_000 + 500 * n);
  house.waker.start();
  await house.pass(120);
  expect(new Set(house.woken).size).toBe(100);
  expect(house.woken).toHaveLength(100);
  expect(house.woken.slice(0, 50).every((woken) => woken.endsWith(" at 20"))).toBe(true);
  expect(house.woken.slice(50, 54)).toEqual(["/own0 at 21", "/own1 at 21.5", "/own2 at 22", "/own3 at 22.5"]);
});

test("a stream that cannot be opened is tried again, with growing distance, and holds up nobody", async () => {
  let broken = true;
  const house = createHouse({
    wake(path) {
      if (path === "/broken" && broken) throw new Error("away");
    },
  });
  house.waker.start();
  await untilQuiet();
  house.claim("/broken", 10);
  await house.pass(40);
  expect(house.woken).toEqual([10, 11, 13, 17, 25].map((at) => `/broken at ${at}`));
  house.claim("/sound", 1);
  await house.pass(2);
  expect(house.woken.at(-1)).toBe("/sound at 41");
  broken = false;
  await house.pass(120);
  const tries = house.woken.filter((woken) => woken.startsWith("/broken"));
  expect(tries.slice(5), "whatever becomes of others").toEqual(["/broken at 41", "/broken at 73"]);
  expect(house.failures).toEqual(Array.from({ length: 6 }, () => "away"));
  expect(house.armed()).toBe(0);
});

test("a shelf that cannot be looked at is looked at again", async () => {
  let failing = 3;
  const house = createHouse({
    beforeLook() {
      if (failing-- > 0) throw new Error("no shelf");
    },
  });
  house.claims.set("/due", house.clock.now());
  house.waker.start();
  await untilQuiet();
  house.claim("/meanwhile", 3);
  await house.pass(60);
  expect(house.failures).toHaveLength(3);
  expect(new Set(house.woken)).toEqual(new Set(["/due at 7", "/meanwhile at 7"]));
  expect(house.armed()).toBe(0);
});

test.each([
  ["forward by an hour", 3_600_000],
  ["back by an hour", -3_600_000],
])("a clock that jumps %s: what is due by it is woken within a minute", async (_, jump) => {
  const house = createHouse();
  house.waker.start();
  await untilQuiet();
  house.claim("/soon", 30);
  house.claim("/later", 1_800);
  await house.pass(1);
  house.clock.jump(jump);
  await house.pass(61);
  expect(house.woken.length).toBe(jump > 0 ? 2 : 0);
  await house.pass(2 * 3_600, 10);
  expect(new Set(house.woken.map((woken) => woken.split(" ")[0]))).toEqual(new Set(["/soon", "/later"]));
  expect(house.woken).toHaveLength(2);
  expect(house.armed()).toBe(0);
});

test("so many are opened at once and no more; the others follow", async () => {
  let open = 0;
  let most = 0;
  const house = createHouse({
    async wake() {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setImmediate(resolve));
      open--;
    },
  });
  const start = house.clock.now();
  for (let n = 0; n < 500; n++) house.claims.set(`/s${n}`, start - 1);
  house.waker.start();
  while (house.woken.length < 500) await untilQuiet();
  await untilQuiet();
  expect(most).toBe(64);
  expect(open).toBe(0);
  expect(house.armed()).toBe(0);
});

test("one who is called, and remembered nowhere else", async () => {
  const house = createHouse();
  house.waker.start();
  await untilQuiet();
  house.waker.call("p", "/s", house.clock.now() + 90_000);
  house.waker.call("p", "/s", house.clock.now() + 5_000);
  expect(house.waker.waiting()).toBe(2);
  await house.pass(100);
  expect(house.woken).toEqual(["/s at 5", "/s at 90"]);
  expect(house.waker.waiting()).toBe(0);
});

test("after a stop nobody is woken, and it resolves when the last one is", async () => {
  let finish = () => {};
  const house = createHouse({
    wake: () =>
      new Promise<void>((resolve) => {
        finish = resolve;
      }),
  });
  house.waker.start();
  await untilQuiet();
  house.claim("/slow", 1);
  house.claim("/later", 2);
  await house.pass(1);
  let stopped = false;
  const stopping = house.waker.stop().then(() => {
    stopped = true;
  });
  await house.pass(100);
  expect(stopped).toBe(false);
  finish();
  await stopping;
  expect(house.woken).toEqual(["/slow at 1"]);
  expect(house.armed()).toBe(0);
});
