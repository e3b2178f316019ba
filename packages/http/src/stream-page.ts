/** What a browser sees at a stream's URL until there is a web UI: where it is, how far it is, and how to use it. */
import type { Engine } from "@millrace/engine";
import { isStreamError } from "@millrace/protocol";
import type { Incoming, Outgoing } from "./exchange.ts";
import type { Target } from "./target.ts";

export async function streamPage(engine: Engine, incoming: Incoming, { project, path }: Target): Promise<Outgoing> {
  const scheme = incoming.header("x-forwarded-proto") === "https" ? "https" : "http";
  const base = `${scheme}://${incoming.header("host") ?? "localhost"}`;
  const url = `${base}/api/streams${path}`;
  const scope = project === "public" ? "" : ` -H 'X-Project-Slug: ${project}'`;
  const body = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(path)} - Millrace</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:3rem auto;padding:0 1rem}pre{background:#8881;padding:.75rem;overflow:auto}</style>
<h1>${escapeHtml(path)}</h1>
<p>${escapeHtml(await headLine(engine, project, path))}</p>
<p>Append an event:</p>
<pre>${escapeHtml(`curl --json '{"type":"hello-world"}'${scope} ${url}`)}</pre>
<p>Read what there is:</p>
<pre>${escapeHtml(`curl -s${scope} '${url}?format=yaml'`)}</pre>
<p>Follow it live:</p>
<pre>${escapeHtml(`curl -sN${scope} '${url}?live=true' | sed -nu 's/^data: //p' | jq .`)}</pre>
</html>
`;
  const headers = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
  };
  return { status: 200, headers, body };
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

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
