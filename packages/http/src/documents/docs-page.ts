/**
 * The interactive documents: Swagger UI over our own OpenAPI document. Everything comes from this server, nothing is
 * asked of any other host, and the Content-Security-Policy says so to the browser.
 */
import { StreamError } from "@millrace/protocol";
import type { Incoming, Outgoing } from "../exchange.ts";
import { hrefOf, pageHeaders } from "../page.ts";
import { allow } from "../parameters.ts";
import { queryOf } from "../target.ts";

/** The files of `swagger-ui-dist` by name; undefined for one that is not there. */
export type Assets = (name: string) => Promise<Uint8Array | undefined>;

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const assetTypes: Readonly<Record<string, string>> = {
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
};

const start = `const token = new URLSearchParams(location.search).get("token");
const ui = SwaggerUIBundle({
  dom_id: "#documents",
  url: "/openapi.json" + (token === null ? "" : "?token=" + encodeURIComponent(token)),
  validatorUrl: null,
  deepLinking: false,
  queryConfigEnabled: false,
  persistAuthorization: false,
  onComplete() {
    if (token !== null) ui.preauthorizeApiKey("bearer", token);
  },
});
`;

/** @throws StreamError `not_found` on a host that has no assets */
export function docsRoute(incoming: Incoming, assets: Assets | undefined): Outgoing {
  if (assets === undefined) throw noDocs();
  const query = queryOf(incoming.url);
  allow(query, []);
  const href = (path: string) => hrefOf(path, query);
  const body = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Millrace: all calls</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${href("/api/docs/swagger-ui.css")}">
<p>See also the <a href="${href("/api/docs/events")}">built-in events</a> and the document itself, <a href="${href("/openapi.json")}">openapi.json</a>.</p>
<div id="documents"></div>
<noscript>Without scripts there is only the document itself.</noscript>
<script src="${href("/api/docs/swagger-ui-bundle.js")}"></script>
<script src="${href("/api/docs/start.js")}"></script>
</html>
`;
  return { status: 200, headers: { ...pageHeaders, "content-security-policy": policy }, body };
}

export function startRoute(): Outgoing {
  return asset("text/javascript; charset=utf-8", start, "no-cache");
}

/** @throws StreamError `not_found` */
export async function assetRoute(assets: Assets | undefined, name: string): Promise<Outgoing> {
  const type = assetTypes[name];
  const bytes = type === undefined ? undefined : await assets?.(name);
  if (type === undefined || bytes === undefined) throw noDocs();
  return asset(type, bytes, "private, max-age=3600");
}

function noDocs(): StreamError<"not_found"> {
  return new StreamError("not_found", "This server has no interactive documents; see /openapi.json.", {});
}

export const assetNames: readonly string[] = Object.keys(assetTypes);

function asset(type: string, body: string | Uint8Array, caching: string): Outgoing {
  const headers = { "content-type": type, "cache-control": caching, "x-content-type-options": "nosniff" };
  return { status: 200, headers, body };
}
