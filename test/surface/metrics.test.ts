/** `/metrics`: text that a scraper can read, numbers that are true, and no word of anybody's paths. */
import { processorKind } from "@millrace/engine";
import { defineProcessor } from "@millrace/protocol";
import { expect, test } from "vitest";
import { append, freshPath, readAll, refused } from "../http/calls.ts";
import { openLive } from "../http/live-reader.ts";
import { describeEach, type TestServer } from "../http/servers.ts";
import { builtin } from "../processes/http.ts";
import { type Family, metricValue, parseMetrics } from "./prometheus.ts";

async function metricsOf(server: TestServer): Promise<Map<string, Family>> {
  const response = await server.send("/metrics");
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  return parseMetrics(await response.text());
}

describeEach("metrics", (server, fixture) => {
  test("count what was done", async () => {
    const path = freshPath("counted");
    await append(server(), path, { type: "a" });
    await settled(server());
    const before = await metricsOf(server());
    await append(server(), path, [{ type: "a" }, { type: "b" }, { type: "c" }]);
    await append(server(), path, { type: "a", idempotencyKey: "k" });
    await append(server(), path, { type: "a", idempotencyKey: "k" });
    await readAll(server(), path);
    await refused(await server().send(`/api/streams${path}?nonsense=1`), "invalid_request");
    const after = await metricsOf(server());
    const rise = (name: string) => metricValue(after, name) - metricValue(before, name);
    expect(rise("millrace_appends_total")).toBe(3);
    expect(rise("millrace_events_total")).toBe(4);
    expect(rise("millrace_commit_events_count")).toBe(2);
    expect(rise("millrace_commit_events_sum")).toBe(4);
    expect(rise("millrace_commit_seconds_count")).toBe(2);
    expect(rise("millrace_commit_seconds_sum")).toBeGreaterThan(0);
    expect(rise("millrace_commit_seconds_sum")).toBeLessThan(30);
    expect(rise("millrace_reads_total")).toBe(1);
    expect(rise("millrace_requests_total")).toBe(6);
    expect(rise('millrace_refused_total{code="invalid_request"}')).toBe(1);
    expect(rise('millrace_refused_total{code="unavailable"}')).toBe(0);
  });

  test("show who reads now", async () => {
    const reader = await openLive(server(), `${freshPath()}?live=true`);
    expect(metricValue(await metricsOf(server()), "millrace_readers")).toBe(1);
    reader.close();
  });

  test("are well formed: cumulative buckets, names with units, no paths and no projects", async () => {
    const path = freshPath("secret-path");
    await append(server(), path, { type: "secret-type" }, { "x-project-slug": "secret-project" });
    const families = await metricsOf(server());
    for (const [name, { type, samples }] of families) {
      if (type === "counter") expect(name).toMatch(/_total$/);
      if (type !== "histogram") continue;
      const buckets = [...samples].filter(([id]) => id.startsWith(`${name}_bucket`)).map(([, value]) => value);
      expect(buckets).toEqual([...buckets].sort((a, b) => a - b));
      expect(buckets.at(-1)).toBe(samples.get(`${name}_count`));
    }
    expect(await (await server().send("/metrics")).text()).not.toContain("secret");
  });

  test.runIf(fixture.name === "over TCP")("show the process", async () => {
    const families = await metricsOf(server());
    expect(metricValue(families, "process_resident_memory_bytes")).toBeGreaterThan(1e6);
    expect(metricValue(families, "process_cpu_seconds_total")).toBeGreaterThan(0);
    expect(Math.abs(metricValue(families, "process_start_time_seconds") * 1_000 - Date.now())).toBeLessThan(3_600_000);
    for (const what of ["mean", "p50", "p99", "max"]) {
      const lag = metricValue(families, `nodejs_eventloop_lag_${what}_seconds`);
      expect(lag).toBeGreaterThanOrEqual(0);
      expect(lag).toBeLessThan(60);
    }
  });

  test("are for reading", async () => {
    await refused(await server().send("/metrics", { method: "POST" }), "method_not_allowed");
  });
});

describeEach(
  "metrics of a server with a token",
  (server) => {
    test("ask for it", async () => {
      await refused(await server().send("/metrics"), "unauthorized");
      expect(
        (await server().send("/metrics", { headers: { authorization: "Bearer of-sixteen-letters" } })).status,
      ).toBe(200);
    });
  },
  { access: { token: "of-sixteen-letters" } },
);

const acting = defineProcessor({
  slug: "acting",
  initialState: null,
  reduce: ({ state }) => state,
  async afterAppend({ event, append }) {
    if (event.type === "ping") await append({ type: "pong" });
    if (event.type === "fail") throw new Error("not this one");
  },
});

describeEach(
  "metrics of consumers and schedules",
  (server) => {
    test("count hooks and ticks, and show who is behind", async () => {
      const path = freshPath("consumed");
      await append(server(), path, {
        type: builtin("dynamic-worker/configured"),
        payload: { slug: "acting", script: "act" },
      });
      const before = await metricsOf(server());
      const schedule = { kind: "once-in", delaySeconds: 0 };
      await append(server(), path, {
        type: builtin("append-scheduled"),
        payload: { slug: "now", append: { type: "ping" }, schedule },
      });
      await until(server(), (families) => metricValue(families, "millrace_tick_lateness_seconds_count") === 1);
      await until(server(), (families) => metricValue(families, "millrace_consumer_lag_events") === 0);
      await append(server(), path, [{ type: "fail" }, { type: "ping" }]);
      await until(server(), (families) => metricValue(families, "millrace_consumers_retrying") === 1);
      // The event that failed, the ping behind it, and the error that says so, which is on disk a moment later.
      await until(server(), (families) => metricValue(families, "millrace_consumer_lag_events") === 3);
      const after = await metricsOf(server());
      const rise = (name: string) => metricValue(after, name) - metricValue(before, name);
      expect(metricValue(after, "millrace_consumers")).toBe(1);
      expect(rise("millrace_hook_failures_total")).toBe(1);
      expect(rise("millrace_hooks_total")).toBeGreaterThanOrEqual(2);
      expect(rise("millrace_hook_seconds_total")).toBeGreaterThan(0);
      expect(rise("millrace_hook_seconds_total")).toBeLessThan(30);
      expect(rise("millrace_halts_total")).toBe(0);
      expect(metricValue(after, "millrace_tick_lateness_seconds_sum")).toBeGreaterThanOrEqual(0);
      expect(metricValue(after, "millrace_tick_lateness_seconds_sum")).toBeLessThan(30);
      expect(metricValue(after, "millrace_consumer_lag_max_events")).toBe(3);
      // The next attempt.
      expect(metricValue(after, "millrace_waiting_wakes")).toBeGreaterThanOrEqual(1);
    });

    test("count a halt", async () => {
      const path = freshPath("halted");
      const before = metricValue(await metricsOf(server()), "millrace_halts_total");
      const payload = { slug: "acting", script: "throw" };
      await append(server(), path, { type: builtin("dynamic-worker/configured"), payload });
      await until(server(), (families) => metricValue(families, "millrace_halts_total") === before + 1);
    });
  },
  {
    consumers: [
      processorKind(async ({ payload }) => {
        if (payload.script === "throw") throw new Error("it does not compile");
        return acting;
      }),
    ],
  },
);

async function until(server: TestServer, enough: (families: Map<string, Family>) => boolean): Promise<void> {
  for (let patience = 1_000; patience > 0; patience--) if (enough(await metricsOf(server))) return;
  throw new Error("the metrics never said so");
}

/** Until the ancestors have heard of all births: their commits are counted too. */
async function settled(server: TestServer): Promise<void> {
  for (let patience = 500; patience > 0; patience--) {
    if (metricValue(await metricsOf(server), "millrace_waiting_announcements") === 0) return;
  }
  throw new Error("the tree did not come to rest");
}
