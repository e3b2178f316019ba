/** `/metrics`: what the engine and the handler counted, and what the host knows of the process. No path, no slug. */
import type { Engine } from "@millrace/engine";
import type { ErrorCode } from "@millrace/protocol";
import type { Outgoing } from "../exchange.ts";
import { counter, expositionType, gauge, type Metric, toExposition } from "./exposition.ts";

/** What the handler counts by itself. */
export interface RequestMeter {
  requests: number;
  /** Refusals of every code, from 0. */
  refused: Record<ErrorCode, number>;
}

export function metricsRoute(engine: Engine, meter: RequestMeter, ofHost: readonly Metric[]): Outgoing {
  const body = toExposition([...requestMetrics(meter), ...engineMetrics(engine), ...ofHost]);
  return { status: 200, headers: { "content-type": expositionType, "cache-control": "no-cache" }, body };
}

function requestMetrics({ requests, refused }: RequestMeter): Metric[] {
  const samples = Object.entries(refused).map(([code, value]) => ({ labels: { code }, value }));
  return [
    counter("millrace_requests_total", "Requests, of whatever kind.", requests),
    { name: "millrace_refused_total", help: "Requests that were refused, by error code.", type: "counter", samples },
  ];
}

function engineMetrics(engine: Engine): Metric[] {
  const { meter } = engine;
  const gauges = engine.gauges();
  return [
    counter("millrace_appends_total", "Requests to append that a stream took on.", meter.appends),
    counter("millrace_events_total", "Events on disk since the start, those of the server too.", meter.events),
    counter("millrace_reads_total", "Reads that began.", meter.reads),
    counter("millrace_commit_failures_total", "Commits that failed; their outcome is unknown.", meter.commitFailures),
    {
      name: "millrace_commit_events",
      help: "Events of each commit; 0 is a deletion.",
      type: "histogram",
      histogram: meter.commitEvents,
    },
    {
      name: "millrace_commit_seconds",
      help: "Time until a commit is on disk, its sync and its wait for the one before included.",
      type: "histogram",
      histogram: meter.commitSeconds,
    },
    gauge("millrace_log_failing", "1 while the last commit failed, else 0.", meter.failing === undefined ? 0 : 1),
    gauge("millrace_open_streams", "Streams in memory.", gauges.openStreams),
    gauge("millrace_readers", "Reads that are running.", gauges.readers),
    gauge("millrace_waiting_appends", "Appends that wait for their turn in a stream.", gauges.waitingAppends),
    gauge("millrace_waiting_bytes", "Bytes of the appends that wait.", gauges.waitingBytes),
    gauge(
      "millrace_waiting_announcements",
      "Births and deletions that ancestors are yet to hear of.",
      gauges.waitingAnnouncements,
    ),
    gauge("millrace_waiting_wakes", "Times in the near future at which a stream is opened.", gauges.waitingWakes),
    ...consumerMetrics(meter, gauges),
  ];
}

function consumerMetrics(meter: Engine["meter"], gauges: ReturnType<Engine["gauges"]>): Metric[] {
  return [
    counter("millrace_hooks_total", "Calls of hooks that ended.", meter.hooks),
    counter("millrace_hook_seconds_total", "How long they ran, together.", meter.hookMs / 1_000),
    counter("millrace_hook_failures_total", "Calls of hooks that failed.", meter.hookFailures),
    counter("millrace_deliveries_total", "Events that a receiver has taken.", meter.deliveries),
    counter("millrace_delivery_failures_total", "Deliveries that were not taken.", meter.deliveryFailures),
    counter("millrace_halts_total", "Consumers that were halted.", meter.halts),
    {
      name: "millrace_tick_lateness_seconds",
      help: "Time from when a scheduled event was due until it is on disk.",
      type: "histogram",
      histogram: meter.tickSeconds,
    },
    gauge("millrace_consumers", "Consumers of the streams in memory.", gauges.consumers),
    gauge("millrace_consumer_lag_events", "Events that they have not acted on, together.", gauges.consumerLag),
    gauge("millrace_consumer_lag_max_events", "The same of the one that is farthest behind.", gauges.consumerLagMax),
    gauge("millrace_consumers_retrying", "Those that failed and wait for another attempt.", gauges.retryingConsumers),
  ];
}
