/**
 * The page of each built-in type, at the path of the type's own URL: HTML for a browser, its contract as JSON for
 * everybody else. And the index of all of them.
 */
import { contracts, type EventContract, payloadSchema } from "@millrace/protocol";
import { type Incoming, type Outgoing, toJson } from "../exchange.ts";
import { baseOf, curlFlags, escapeHtml, hrefOf, prefersHtml, toPage } from "../page.ts";
import { allow } from "../parameters.ts";
import { projectOf, queryOf } from "../target.ts";
import { schemaTable } from "./schema-table.ts";

/** At the root of the server: what a type's own URL has behind its host. */
export function pathOfType({ name }: EventContract): string {
  return `/events/stream/${name}`;
}

export function eventRoute(incoming: Incoming, contract: EventContract): Outgoing {
  const query = queryOf(incoming.url);
  allow(query, []);
  if (!prefersHtml(incoming)) return varying(toJson(contractJson(contract)));
  const flags = curlFlags(incoming, query, projectOf(incoming, query));
  return varying(toPage({ title: contract.name, body: eventBody(contract, baseOf(incoming), flags, query) }));
}

export function eventIndexRoute(incoming: Incoming): Outgoing {
  const query = queryOf(incoming.url);
  allow(query, []);
  if (!prefersHtml(incoming)) {
    const events = contracts.map((contract) => ({ ...briefly(contract), path: pathOfType(contract) }));
    return varying(toJson({ events }));
  }
  const rows = contracts.map((contract) => {
    const link = `<a href="${hrefOf(pathOfType(contract), query)}">${escapeHtml(contract.name)}</a>`;
    return `<tr><td>${link}<td>${inline(contract.summary)}<td>${standing(contract)}`;
  });
  const body = `<h1>Built-in events</h1>
<p>The server's own vocabulary. Every other type is yours.</p>
<table><tr><th>name<th>what it is for<th>\n${rows.join("\n")}\n</table>
<p><a href="${hrefOf("/api/docs", query)}">All calls</a></p>`;
  return varying(toPage({ title: "Built-in events", body }));
}

/** What is known of a type, for programs. `planned`: it is checked and stored, and nothing acts on it yet. */
function contractJson(contract: EventContract) {
  const { type, aliases, documentation, example, serverOnly, whilePaused } = contract;
  return {
    ...briefly(contract),
    documentation,
    example: { type, payload: example },
    aliases,
    serverOnly,
    whilePaused,
    payload: payloadSchema(contract),
  };
}

function briefly({ type, summary, planned }: EventContract) {
  return { type, summary, planned };
}

function eventBody(contract: EventContract, base: string, flags: string, query: URLSearchParams): string {
  const { type, name, summary, documentation, example, aliases } = contract;
  const schema = payloadSchema(contract);
  const event = { type, payload: example };
  return `<h1>${escapeHtml(name)}</h1>
<p>${inline(summary)}</p>
<p><code>${escapeHtml(type)}</code></p>
${notices(contract)}
<h2>Behaviour</h2>
<p>${inline(documentation)}</p>
<h2>Payload</h2>
${schemaTable(schema)}
<details><summary>As JSON Schema</summary><pre>${escapeHtml(JSON.stringify(schema, null, 2))}</pre></details>
<h2>Example</h2>
<pre>${escapeHtml(JSON.stringify(event, null, 2))}</pre>
${commandOf(contract, base, flags)}
<h2>Short forms</h2>
<ul>${aliases.map((alias) => `<li><code>${escapeHtml(alias)}</code>`).join("")}</ul>
<p><a href="${hrefOf("/api/docs/events", query)}">All built-in events</a>, <a href="${hrefOf("/api/docs", query)}">all calls</a></p>`;
}

function notices({ planned, serverOnly, whilePaused }: EventContract): string {
  const lines: string[] = [];
  if (planned)
    lines.push("<strong>Planned.</strong> It is validated and stored, and nothing acts on it or writes it yet.");
  if (serverOnly) lines.push("Only the server writes it; from outside it is stored as an invalid event.");
  if (whilePaused) lines.push("It is admitted while a stream is paused.");
  return lines.map((line) => `<p>${line}</p>`).join("\n");
}

function commandOf({ type, example, serverOnly }: EventContract, base: string, flags: string): string {
  const url = `${base}/api/streams/me/hello`;
  const command = serverOnly
    ? `curl -s${flags} '${url}?format=yaml&type=${encodeURIComponent(type)}'`
    : `curl --json ${quoted(JSON.stringify({ type, payload: example }))}${flags} ${url}`;
  return `<p>${serverOnly ? "Read those of a stream" : "Append it"}:</p>\n<pre>${escapeHtml(command)}</pre>`;
}

/** For a shell: nothing in single quotes means anything, but for the quote itself. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function standing({ planned, serverOnly }: EventContract): string {
  return [planned ? "planned" : "", serverOnly ? "server only" : ""].filter((word) => word !== "").join(", ");
}

/** Text with `code` in it. */
function inline(text: string): string {
  return escapeHtml(text).replace(/`([^`]+)`/g, "<code>$1</code>");
}

function varying(outgoing: Outgoing): Outgoing {
  outgoing.headers.vary = "accept";
  return outgoing;
}
