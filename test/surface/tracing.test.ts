/** Spans for requests and commits, once a tracer provider is registered, and none of it before. */
import { context, propagation, type TextMapPropagator, trace } from "@opentelemetry/api";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { type RunningServer, serve } from "millrace";
import { afterEach, expect, test } from "vitest";

let server: RunningServer | undefined;

async function start(): Promise<RunningServer> {
  const options = { port: 0, host: "127.0.0.1", data: ":memory:" };
  server = await serve({ ...options, onFatal: (message) => expect.fail(message) });
  return server;
}

afterEach(() => server?.close());

function post(url: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/a?token=hidden`, { method: "POST", body: '{"type":"a"}', headers });
}

test("without a provider at the start nothing is traced, and with one everything is", async () => {
  const early = await start();
  const exporter = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
  propagation.setGlobalPropagator(traceparent);
  await post(early.url);
  await early.close();
  expect(exporter.getFinishedSpans()).toEqual([]);

  const { url } = await start();
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  await post(url, { traceparent: `00-${traceId}-b7ad6b7169203331-01` });
  await fetch(`${url}/api/state/nobody`);
  const spans = exporter.getFinishedSpans();
  const request = spans.find(({ name }) => name === "POST /{path}");
  expect(request?.attributes).toEqual({
    "http.request.method": "POST",
    "url.path": "/a",
    "http.response.status_code": 200,
  });
  expect(request?.spanContext().traceId).toBe(traceId);
  expect(spans.find(({ name }) => name === "GET")?.attributes).toMatchObject({ "http.response.status_code": 404 });
  expect(spans.find(({ name }) => name === "commit")?.attributes).toEqual({ "millrace.commit.events": 2 });
});

/** The part of W3C Trace Context that is needed here. */
const traceparent: TextMapPropagator = {
  fields: () => ["traceparent"],
  inject() {},
  extract(parent, carrier, getter) {
    const [, traceId, spanId] = String(getter.get(carrier, "traceparent") ?? "").split("-");
    if (traceId === undefined || spanId === undefined) return parent ?? context.active();
    return trace.setSpanContext(parent, { traceId, spanId, traceFlags: 1, isRemote: true });
  },
};
