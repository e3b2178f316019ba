/** One request to the server, with everything that all requests share: address, project, token, errors. */
import { isMillraceError, MillraceError } from "./errors.ts";
import { joinPath, urlPath } from "./paths.ts";
import { toError, unexpectedAnswer } from "./problem.ts";
import { type Retry, type RetryOptions, retrying, toRetry } from "./retry.ts";
import { type Answer, fetchTransport, type Transport } from "./transport.ts";

export interface ClientOptions {
  /** Where the server is, such as `http://127.0.0.1:4040`; it may have a path, if a proxy puts the server below one. */
  baseUrl: string | URL;
  /** The project; `public` without one. */
  projectSlug?: string;
  /** Every path of this client is below this one, with or without a slash in front. */
  pathPrefix?: string;
  /** Sent as `Authorization: Bearer`. */
  token?: string;
  /** Instead of the global `fetch`: a handler in the same process, a proxy, a fetch with a trace. */
  fetch?: (request: Request) => Promise<Response>;
  /** Instead of any `fetch`: `httpTransport` of `@millrace/sdk/node` costs a program on Node less. */
  transport?: Transport;
  /** Further headers for every request. */
  headers?: Record<string, string>;
  /** How failed requests are repeated; `false` for never (live reads still reconnect). */
  retry?: RetryOptions | false;
}

/** A parameter of a query; what is undefined is left out, a list is repeated. */
export type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

export interface Call {
  method?: string;
  query?: Query;
  headers?: Record<string, string>;
  body?: string;
  signal?: AbortSignal | undefined;
}

export interface Connection {
  retry: Retry;
  /** The address of a stream below a route such as `/api/state`. */
  at(route: string, path: string): string;
  /** The whole address of a route. */
  urlOf(route: string): string;
  /** The path on the server. */
  pathOf(path: string): string;
  /** One request. @throws MillraceError for every answer but 200 and for no answer, or the signal's reason */
  send(route: string, call?: Call): Promise<Answer>;
  /**
   * The same, sent again while the failure is transient, and parsed. Only for what may be sent twice.
   * @param onAnswer sees its headers, and may throw
   */
  get<Value>(route: string, query: Query, signal?: AbortSignal, onAnswer?: (answer: Answer) => void): Promise<Value>;
}

export function createConnection(options: ClientOptions): Connection {
  const base = String(options.baseUrl).replace(/\/+$/, "");
  const prefix = options.pathPrefix ?? "";
  const retry = options.retry === false ? toRetry({ attempts: 0 }) : toRetry(options.retry);
  const headers: Record<string, string> = { ...options.headers };
  if (options.projectSlug !== undefined) headers["x-project-slug"] = options.projectSlug;
  if (options.token !== undefined) headers.authorization = `Bearer ${options.token}`;
  const transport = options.transport ?? fetchTransport(options.fetch);

  const urlOf = (route: string) => base + route;

  async function send(route: string, { method = "GET", query = {}, body, signal, ...call }: Call = {}) {
    const url = urlOf(route) + toSearch(query);
    const request = {
      method,
      headers: { ...headers, ...call.headers },
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    };
    // What is wrong with the request itself is thrown here, and would be wrong each time.
    const answering = transport(url, request);
    let answer: Answer;
    try {
      answer = await answering;
    } catch (error) {
      throw toUnreachable(error, url, signal);
    }
    if (answer.status === 200) return answer;
    const error = await toError(answer, url);
    throw signal?.aborted ? signal.reason : error;
  }

  return {
    retry,
    urlOf,
    pathOf: (path) => joinPath(prefix, path),
    at: (route, path) => route + urlPath(joinPath(prefix, path)),
    send,
    get: (route, query, signal, onAnswer) =>
      retrying(retry, signal, async () => {
        const answer = await send(route, { query, signal });
        // Also of an answer that is refused then: what nobody reads keeps its connection taken.
        const value = await readJson<never>(answer, signal);
        onAnswer?.(answer);
        return value;
      }),
  };
}

/** The body of an answer. A connection that breaks in the middle of it is a failure like one before it. */
export async function readJson<Value>(answer: Answer, signal?: AbortSignal): Promise<Value> {
  let text: string;
  try {
    text = await answer.text();
  } catch (error) {
    throw toUnreachable(error, answer.url || "the server", signal);
  }
  try {
    return JSON.parse(text) as Value;
  } catch {
    throw unexpectedAnswer(answer.url || "the server", answer.status, text);
  }
}

export function toUnreachable(error: unknown, url: string, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  if (isMillraceError(error)) return error;
  // What was asked for in the query tells nobody where the server should be.
  const where = url.split("?")[0];
  return new MillraceError("unreachable", `No answer from ${where}: ${reasonOf(error)}`, { url }, { cause: error });
}

/** Node's fetch says only "fetch failed"; what failed stands in the cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { message?: string; code?: string } };
  return cause?.message || cause?.code || message || String(error);
}

function toSearch(query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (Array.isArray(value)) for (const one of value) search.append(name, one);
    else if (value !== undefined) search.append(name, String(value));
  }
  return search.size === 0 ? "" : `?${search}`;
}
