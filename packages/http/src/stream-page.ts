/** What a browser sees at a stream's URL until there is a web UI: where it is, how far it is, and how to use it. */
import type { Engine } from "@millrace/engine";
import { isStreamError } from "@millrace/protocol";
import type { Incoming, Outgoing } from "./exchange.ts";
import { baseOf, curlFlags, escapeHtml, hrefOf, toPage } from "./page.ts";
import type { Target } from "./target.ts";

export async function streamPage(engine: Engine, incoming: Incoming, target: Target): Promise<Outgoing> {
  const { project, path, query } = target;
  const url = `${baseOf(incoming)}/api/streams${path}`;
  const flags = curlFlags(incoming, query, project);
  const body = `<h1>${escapeHtml(path)}</h1>
<p>${escapeHtml(await headLine(engine, project, path))}</p>
<p>Append an event:</p>
<pre>${escapeHtml(`curl --json '{"type":"hello-world"}'${flags} ${url}`)}</pre>
<p>Read what there is:</p>
<pre>${escapeHtml(`curl -s${flags} '${url}?format=yaml'`)}</pre>
<p>Follow it live:</p>
<pre>${escapeHtml(`curl -sN${flags} '${url}?live=true' | sed -nu 's/^data: //p' | jq .`)}</pre>
<p><a href="${hrefOf("/api/docs", query)}">All calls</a>, <a href="${hrefOf("/api/docs/events", query)}">built-in events</a></p>`;
  return toPage({ title: path, body });
}

async function headLine(engine: Engine, project: string, path: string): Promise<string> {
  try {
    const { head, lastEventAt, paused } = await engine.state(project, path);
    return `Project ${project}. Head ${head}, the last event at ${lastEventAt}.${paused ? " Paused." : ""}`;
  } catch (error) {
    if (!isStreamError(error, "not_found")) throw error;
    return `Project ${project}. No stream yet: it comes into being with its first event.`;
  }
}
