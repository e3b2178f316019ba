/**
 * Who may ask at all: the `Host` (against DNS rebinding), the `Origin` (against pages that use a visitor's network),
 * and the bearer token. Checked before a route sees the request. Without `Origin` (curl, webhooks, navigation) a
 * request passes; GET and HEAD never change anything.
 */
import { StreamError } from "@millrace/protocol";
import type { Incoming } from "./exchange.ts";
import { streamPathOf } from "./target.ts";

export interface AccessOptions {
  /** Names that `Host` may have, beside IP literals and `localhost`. */
  hosts?: readonly string[];
  /** Origins whose pages may read and write through `fetch`. */
  corsOrigins?: readonly string[];
  /** Origins whose web forms may be sent here. */
  formOrigins?: readonly string[];
  /** Asked for everywhere but at the health routes. */
  token?: string;
}

const ipLiteral = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/;
const formTypes = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];

/** The check. It throws StreamError `forbidden_host`, `forbidden_origin` or `unauthorized`. */
export function createGuard(options: AccessOptions): (incoming: Incoming) => void {
  let lastHost: string | undefined;
  return (incoming) => {
    const host = incoming.header("host");
    // Nearly every request comes with the same host, and taking it apart costs more than all other checks.
    if (host !== lastHost) checkHost(host, options);
    lastHost = host;
    checkAccess(incoming, options);
  };
}

function checkAccess(incoming: Incoming, options: AccessOptions): void {
  const origin = incoming.header("origin");
  if (origin !== undefined) checkOrigin(origin, incoming, options);
  if (options.token !== undefined && incoming.method !== "OPTIONS" && !isHealth(incoming.url)) {
    checkToken(incoming, options.token);
  }
}

/** What a browser needs to see to let a page of an allowed origin have the answer. */
export function corsHeaders(incoming: Incoming, options: AccessOptions): Record<string, string> | undefined {
  const origin = incoming.header("origin");
  if (origin === undefined || !options.corsOrigins?.includes(origin)) return undefined;
  return {
    "access-control-allow-origin": origin,
    "access-control-allow-methods": "GET, HEAD, POST, PUT, DELETE",
    "access-control-allow-headers": incoming.header("access-control-request-headers") ?? "content-type, authorization",
    "access-control-expose-headers": "idempotent-replay, millrace-stream-id, x-request-id",
    "access-control-max-age": "600",
    vary: "origin",
  };
}

function checkHost(header: string | undefined, { hosts = [] }: AccessOptions): void {
  if (header === undefined) return;
  const host = header.replace(/:\d*$/, "").toLowerCase();
  if (host === "localhost" || ipLiteral.test(host) || hosts.includes(host)) return;
  throw new StreamError(
    "forbidden_host",
    `This server does not answer to the host "${host.slice(0, 255)}". Start it with --allow-host ${host.slice(0, 255)} if it should.`,
    { host: host.slice(0, 255) },
  );
}

function checkOrigin(origin: string, incoming: Incoming, { corsOrigins = [], formOrigins = [] }: AccessOptions): void {
  if (origin.replace(/^https?:\/\//, "").toLowerCase() === incoming.header("host")?.toLowerCase()) return;
  if (corsOrigins.includes(origin)) return;
  if (formOrigins.includes(origin) && incoming.method === "POST" && isForm(incoming) && isStream(incoming)) return;
  throw new StreamError(
    "forbidden_origin",
    `Pages of ${origin.slice(0, 255)} may not use this server. Start it with --cors-origin ${origin.slice(0, 255)} if they should, or with --allow-forms-from for plain web forms.`,
    { origin: origin.slice(0, 255) },
  );
}

/** A form of another origin brings news to a stream. It sets no secrets, though a body of text may be JSON. */
function isStream({ url }: Incoming): boolean {
  return streamPathOf(url) !== undefined;
}

function isForm(incoming: Incoming): boolean {
  const type = incoming.header("content-type") ?? "text/plain";
  return formTypes.some((form) => type.startsWith(form));
}

function checkToken(incoming: Incoming, token: string): void {
  const bearer = /^bearer +(.+)$/i.exec(incoming.header("authorization") ?? "")?.[1];
  const given = bearer ?? new URLSearchParams(incoming.url.split("?")[1] ?? "").get("token") ?? "";
  if (sameText(given, token)) return;
  throw new StreamError(
    "unauthorized",
    "This server asks for a token: send it as `Authorization: Bearer <token>`, or as ?token=<token> where headers cannot be set.",
    {},
  );
}

/** Takes as long for a nearly right token as for a wrong one. */
function sameText(given: string, expected: string): boolean {
  let difference = given.length ^ expected.length;
  for (let i = 0; i < expected.length; i++) difference |= (given.charCodeAt(i) || 0) ^ expected.charCodeAt(i);
  return difference === 0;
}

function isHealth(url: string): boolean {
  const path = url.split("?")[0];
  return path === "/healthz" || path === "/readyz";
}
