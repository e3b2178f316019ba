/** `/api/logs`: what the processors of a project said of late, and what they say from now on. */
import { type Engine, type Level, levels, type SaidItem, type SaidLine } from "@millrace/engine";
import { parsePath, slugCharactersMax } from "@millrace/protocol";
import type { Incoming, Outgoing } from "./exchange.ts";
import type { Writer } from "./formats.ts";
import { allow, isTrue, lineIdPattern, logsParameters } from "./parameters.ts";
import { invalidRequest } from "./refusals.ts";
import { streamed } from "./streamed.ts";
import { projectOf, queryOf } from "./target.ts";

export async function logsRoute(engine: Engine, incoming: Incoming): Promise<Outgoing> {
  const query = queryOf(incoming.url);
  allow(query, logsParameters);
  const project = projectOf(incoming, query);
  const slug = slugOf(query.get("slug"));
  const level = levelOf(query.get("level"));
  const after = afterOf(query, incoming);
  const limit = limitOf(query.get("limit"));
  const writer = formatOf(query, incoming) === "ndjson" ? ndjson : serverSentEvents;
  const request = {
    path: parsePath(query.get("path") ?? "/"),
    live: isTrue(query, "live"),
    ...(slug === undefined ? {} : { slug }),
    ...(level === undefined ? {} : { level }),
    ...(after === undefined ? {} : { after }),
    ...(limit === undefined ? {} : { limit }),
  };
  return streamed(engine.readSaid(project, request, incoming.signal), writer, incoming);
}

const serverSentEvents: Writer<SaidItem> = {
  contentType: "text/event-stream",
  opening: ":\nretry: 1000\n\n",
  write(item) {
    switch (item.kind) {
      case "lines":
        return item.lines.map((line) => `id: ${line.id}\nevent: message\ndata: ${toJson(line)}\n\n`).join("");
      case "missed":
        return `event: missed\ndata: {"missed":${item.count}}\n\n`;
      case "idle":
        return ":\n\n";
    }
  },
};

const ndjson: Writer<SaidItem> = {
  contentType: "application/x-ndjson",
  opening: "",
  write(item) {
    if (item.kind === "lines") return item.lines.map((line) => `${toJson(line)}\n`).join("");
    return item.kind === "missed" ? `{"missed":${item.count}}\n` : "";
  },
};

/** Code chose the text, and somebody reads it on a terminal: JSON escapes what steers one only in part. */
function toJson({ project: _, ...line }: SaidLine): string {
  return JSON.stringify(line).replace(/[\x7f-\x9f\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

function levelOf(asked: string | null): Level | undefined {
  if (asked === null) return undefined;
  const level = levels.find((each) => each === asked);
  if (level !== undefined) return level;
  throw invalidRequest(`level is debug, info, warn or error; got "${asked.slice(0, 100)}".`, "level");
}

function limitOf(asked: string | null): number | undefined {
  if (asked === null) return undefined;
  const limit = /^\d{1,9}$/.test(asked) ? Number(asked) : 0;
  if (limit > 0) return limit;
  throw invalidRequest(`limit is a whole number from 1; got "${asked.slice(0, 100)}".`, "limit");
}

function slugOf(asked: string | null): string | undefined {
  if (asked === null) return undefined;
  if (asked !== "" && [...asked].length <= slugCharactersMax) return asked;
  throw invalidRequest(`slug has 1 to ${slugCharactersMax} characters; got "${asked.slice(0, 100)}".`, "slug");
}

/** The header is sent by whoever was connected before, perhaps to something else: what is no line's id is none. */
function afterOf(query: URLSearchParams, incoming: Incoming): string | undefined {
  const asked = query.get("after");
  if (asked !== null && !isLineId(asked)) {
    throw invalidRequest(`after is the id of a line; got "${asked.slice(0, 100)}".`, "after");
  }
  const resumed = incoming.header("last-event-id");
  return resumed !== undefined && isLineId(resumed) ? resumed : (asked ?? undefined);
}

function isLineId(text: string): boolean {
  return new RegExp(lineIdPattern).test(text);
}

function formatOf(query: URLSearchParams, incoming: Incoming): "sse" | "ndjson" {
  const asked = query.get("format");
  if (asked === "sse" || asked === "ndjson") return asked;
  if (asked !== null) throw invalidRequest(`format is sse or ndjson; got "${asked.slice(0, 100)}".`, "format");
  return /^application\/(?:x-)?ndjson\b/.test((incoming.header("accept") ?? "").toLowerCase()) ? "ndjson" : "sse";
}
