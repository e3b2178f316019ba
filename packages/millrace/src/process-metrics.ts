/**
 * What Node knows of the process, under the names that `prom-client` made usual, so that dashboards for Node work. The
 * delay of the event loop is watched from the first time that somebody asks, and then from one time to the next.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { counter, gauge, type Metric } from "@millrace/http";

const resolutionMs = 20;

export function createProcessMetrics(): () => readonly Metric[] {
  let loop: IntervalHistogram | undefined;
  return () => {
    if (loop === undefined) {
      loop = monitorEventLoopDelay({ resolution: resolutionMs });
      loop.enable();
    }
    const metrics = [...processMetrics(), ...loopMetrics(loop)];
    loop.reset();
    return metrics;
  };
}

function processMetrics(): Metric[] {
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return [
    counter("process_cpu_seconds_total", "User and system CPU time.", (user + system) / 1e6),
    gauge("process_start_time_seconds", "When the process started, in seconds since 1970.", startedAt),
    gauge("process_resident_memory_bytes", "Resident memory.", rss),
    gauge("nodejs_heap_size_used_bytes", "Heap in use.", heapUsed),
    gauge("nodejs_heap_size_total_bytes", "Heap reserved.", heapTotal),
    gauge("nodejs_external_memory_bytes", "Memory outside of the heap.", external),
  ];
}

const startedAt = Math.round((Date.now() - process.uptime() * 1_000) / 1_000);

/** The timer is due every `resolutionMs`; what it is late by is the delay. Without a tick yet there is none. */
function loopMetrics(loop: IntervalHistogram): Metric[] {
  const seconds = (nanoseconds: number) =>
    loop.count === 0 ? 0 : Math.max(0, nanoseconds / 1e9 - resolutionMs / 1_000);
  return [
    gauge("nodejs_eventloop_lag_mean_seconds", "Mean delay of the event loop since last asked.", seconds(loop.mean)),
    gauge("nodejs_eventloop_lag_p50_seconds", "Its median.", seconds(loop.percentile(50))),
    gauge("nodejs_eventloop_lag_p99_seconds", "Its 99th percentile.", seconds(loop.percentile(99))),
    gauge("nodejs_eventloop_lag_max_seconds", "Its maximum.", seconds(loop.max)),
  ];
}
