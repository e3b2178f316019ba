/** The text format that Prometheus reads (version 0.0.4). Numbers in, lines out. */
import type { Histogram } from "@millrace/engine";

export type Metric =
  | { name: string; help: string; type: "counter" | "gauge"; samples: readonly Sample[] }
  | { name: string; help: string; type: "histogram"; histogram: Histogram };

export interface Sample {
  value: number;
  labels?: Readonly<Record<string, string>>;
}

export const expositionType = "text/plain; version=0.0.4; charset=utf-8";

export function counter(name: string, help: string, value: number): Metric {
  return { name, help, type: "counter", samples: [{ value }] };
}

export function gauge(name: string, help: string, value: number): Metric {
  return { name, help, type: "gauge", samples: [{ value }] };
}

export function toExposition(metrics: readonly Metric[]): string {
  return metrics.map(toText).join("");
}

function toText(metric: Metric): string {
  const { name, help, type } = metric;
  const head = `# HELP ${name} ${help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")}\n# TYPE ${name} ${type}\n`;
  if (metric.type === "histogram") return head + histogramText(name, metric.histogram);
  return head + metric.samples.map(({ value, labels }) => line(name, labels, value)).join("");
}

/** Each bucket counts all that is not larger than its end. */
function histogramText(name: string, { bounds, counts, sum }: Histogram): string {
  let count = 0;
  const buckets = counts.map((own, i) => {
    count += own;
    return line(`${name}_bucket`, { le: numberText(bounds[i] ?? Number.POSITIVE_INFINITY) }, count);
  });
  return buckets.join("") + line(`${name}_sum`, undefined, sum) + line(`${name}_count`, undefined, count);
}

function line(name: string, labels: Readonly<Record<string, string>> | undefined, value: number): string {
  return `${name}${labels === undefined ? "" : labelsText(labels)} ${numberText(value)}\n`;
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const escaped = (text: string) => text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(",")}}`;
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}
