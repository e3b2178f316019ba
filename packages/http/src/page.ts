/** What every page has: no script, nothing of another host, and everything escaped that came from outside. */
import type { Incoming, Outgoing } from "./exchange.ts";

export interface Page {
  title: string;
  /** HTML; what came from outside is escaped in it already. */
  body: string;
}

const style =
  "body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:3rem auto;padding:0 1rem}" +
  "pre{background:#8881;padding:.75rem;overflow:auto}table{border-collapse:collapse}" +
  "td,th{text-align:left;vertical-align:top;padding:.25rem 1rem .25rem 0;border-bottom:1px solid #8883}";

export const pageHeaders: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-cache",
  "content-security-policy":
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  // The address may hold a token.
  "referrer-policy": "no-referrer",
};

export function toPage({ title, body }: Page): Outgoing {
  const text = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)} - Millrace</title>
<style>${style}</style>
${body}
</html>
`;
  return { status: 200, headers: { ...pageHeaders }, body: text };
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** The server's address as the browser knows it. */
export function baseOf(incoming: Incoming): string {
  const scheme = incoming.header("x-forwarded-proto") === "https" ? "https" : "http";
  return `${scheme}://${incoming.header("host") ?? "localhost"}`;
}

/** A link on this server, with the token by which this page was reached: a browser has no other way to send it. */
export function hrefOf(path: string, query: URLSearchParams): string {
  const token = query.get("token");
  return escapeHtml(token === null ? path : `${path}?token=${encodeURIComponent(token)}`);
}

/** Flags for `curl`, to be asked like this page was. The token itself is for the reader's shell to know. */
export function curlFlags(incoming: Incoming, query: URLSearchParams, project: string): string {
  const scope = project === "public" ? "" : ` -H 'X-Project-Slug: ${project}'`;
  const withToken = query.has("token") || incoming.header("authorization") !== undefined;
  return withToken ? `${scope} -H "Authorization: Bearer $TOKEN"` : scope;
}

export function prefersHtml(incoming: Incoming): boolean {
  for (const range of (incoming.header("accept") ?? "").toLowerCase().split(",")) {
    const type = range.split(";")[0]?.trim();
    if (type === "text/html" || type === "application/xhtml+xml") return true;
    if (type === "application/json") return false;
  }
  return false;
}
