/**
 * OpenTelemetry, through its API package only: a span for each request and one for each commit, if the process
 * registered a tracer provider before the server was started (`node --import ./telemetry.mjs`). If not, nothing is
 * wrapped, so there is nothing to pay. Around the ports, so that neither the engine nor the routes know of it.
 */
import type { Directory, StreamLog } from "@millrace/engine";
import type { Handler, Incoming } from "@millrace/http";
import {
  context,
  type ProxyTracerProvider,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  type Tracer,
  trace,
} from "@opentelemetry/api";

const scope = "millrace";

/** Undefined while no provider is registered. */
export function registeredTracer(): Tracer | undefined {
  const provider = trace.getTracerProvider();
  // The API hands out a proxy; what stands behind it is there only once somebody registered it.
  return "getDelegateTracer" in provider
    ? (provider as ProxyTracerProvider).getDelegateTracer(scope)
    : provider.getTracer(scope);
}

/** A request's span ends with the head of the answer: a live read may go on for days. */
export function traceHandler(handler: Handler, tracer: Tracer): Handler {
  return {
    ...handler,
    hot(incoming) {
      const startTime = Date.now();
      const answer = handler.hot(incoming);
      if (answer === undefined) return undefined;
      return answer.then((outgoing) => {
        const parent = propagation.extract(context.active(), incoming, ofIncoming);
        const name = `${incoming.method} /{path}`;
        const span = tracer.startSpan(name, { kind: SpanKind.SERVER, startTime }, parent);
        endRequest(span, incoming.method, incoming.url.split("?")[0] as string, outgoing.status);
        return outgoing;
      });
    },
    async fetch(request) {
      const startTime = Date.now();
      const response = await handler.fetch(request);
      const parent = propagation.extract(context.active(), request.headers, ofHeaders);
      const span = tracer.startSpan(request.method, { kind: SpanKind.SERVER, startTime }, parent);
      endRequest(span, request.method, new URL(request.url).pathname, response.status);
      return response;
    },
  };
}

/** A commit is of its own, because it carries the events of many requests. */
export function traceDirectory(directory: Directory, tracer: Tracer): Directory {
  const traced = (log: StreamLog): StreamLog => ({
    ...log,
    async append(commit, expected) {
      const attributes = { "millrace.commit.events": commit.records.length };
      const span = tracer.startSpan("commit", { root: true, attributes });
      try {
        return await log.append(commit, expected);
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).message });
        throw error;
      } finally {
        span.end();
      }
    },
  });
  return { ...directory, log: (project, path) => traced(directory.log(project, path)) };
}

function endRequest(span: Span, method: string, path: string, status: number): void {
  span.setAttributes({ "http.request.method": method, "url.path": path, "http.response.status_code": status });
  if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}

const ofIncoming: TextMapGetter<Incoming> = {
  keys: (incoming) => [...incoming.headerNames()],
  get: (incoming, name) => incoming.header(name.toLowerCase()),
};

const ofHeaders: TextMapGetter<Headers> = {
  keys: (headers) => [...headers.keys()],
  get: (headers, name) => headers.get(name) ?? undefined,
};
