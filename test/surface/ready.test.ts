/** `/readyz` says what is wrong, for as long as it is, and nothing that is nobody's business. */
import { createEngine, createMemoryDirectory } from "@millrace/engine";
import { createHandler } from "@millrace/http";
import { createManualClock, createSeededRandom, interceptDirectory, manualClockStart } from "@millrace/testing";
import { expect, test } from "vitest";
import { metricValue, parseMetrics } from "./prometheus.ts";

function createWorld() {
  const clock = createManualClock();
  const faults = { commit: "", read: "", slow: false };
  const directory = interceptDirectory(createMemoryDirectory(), async ({ operation }, proceed) => {
    if (faults.commit !== "" && (operation === "append" || operation === "remove")) throw new Error(faults.commit);
    if (faults.read !== "" && operation === "projects") throw new Error(faults.read);
    if (faults.slow && operation === "projects") return new Promise(() => {});
    return proceed();
  });
  const engine = createEngine({ directory, clock, random: createSeededRandom(1) });
  const handler = createHandler({ engine, access: { token: "of-sixteen-letters" } });
  const get = (path: string) => handler.fetch(new Request(`http://localhost${path}`));
  return {
    clock,
    engine,
    faults,
    async append() {
      const headers = { authorization: "Bearer of-sixteen-letters" };
      const request = new Request("http://localhost/a", { method: "POST", body: '{"type":"a"}', headers });
      return (await handler.fetch(request)).status;
    },
    async ready() {
      const response = await get("/readyz");
      return { status: response.status, ...((await response.json()) as Record<string, unknown>) };
    },
    async failing() {
      return metricValue(
        parseMetrics(await (await get("/metrics?token=of-sixteen-letters")).text()),
        "millrace_log_failing",
      );
    },
  };
}

const at = (milliseconds: number) => new Date(manualClockStart + milliseconds).toISOString();

test("a log that cannot commit is told with its first failure, until a commit succeeds", async () => {
  const { clock, faults, append, ready, failing } = createWorld();
  expect(await append()).toBe(200);
  expect(await ready()).toMatchObject({ status: "ready" });
  expect(await failing()).toBe(0);

  faults.commit = "SQLITE_FULL: database or disk is full";
  clock.advance(1_000);
  expect(await append()).toBe(503);
  clock.advance(1_000);
  faults.commit = "SQLITE_IOERR: disk I/O error in /srv/events/millrace.db of /team/secret-plan";
  expect(await append()).toBe(503);
  expect(await failing()).toBe(1);
  const message = "The log cannot commit: SQLITE_IOERR: disk I/O error in <path> of <path>";
  expect(await ready()).toMatchObject({
    status: 503,
    code: "unavailable",
    detail: message,
    troubles: [{ what: "commit", since: at(1_000), message }],
  });

  faults.commit = "";
  expect(await append()).toBe(200);
  expect(await ready()).toMatchObject({ status: "ready" });
  expect(await failing()).toBe(0);
});

test("without further appends a failure is forgiven, so that a server out of service comes back", async () => {
  const { clock, faults, append, ready } = createWorld();
  faults.commit = "no room";
  expect(await append()).toBe(503);
  clock.advance(29_000);
  expect(await ready()).toMatchObject({ status: 503 });
  clock.advance(1_000);
  expect(await ready()).toMatchObject({ status: "ready" });
  expect(await append()).toBe(503);
  expect(await ready()).toMatchObject({ status: 503, troubles: [{ since: at(0) }] });
});

test("a log that cannot be read, or does not answer", async () => {
  const { clock, faults, ready } = createWorld();
  faults.read = "SQLITE_CORRUPT:\n malformed";
  expect(await ready()).toMatchObject({
    status: 503,
    troubles: [{ what: "read", message: "The log cannot be read: SQLITE_CORRUPT: malformed" }],
  });
  faults.read = "";
  faults.slow = true;
  const waiting = ready();
  clock.advance(5_000);
  expect(await waiting).toMatchObject({ status: 503, troubles: [{ message: expect.stringContaining("within 5 s") }] });
});

test("a server that stops", async () => {
  const { engine, ready } = createWorld();
  await engine.close();
  expect(await ready()).toMatchObject({
    status: 503,
    detail: "The server is stopping.",
    troubles: [{ what: "stopping" }],
  });
});
