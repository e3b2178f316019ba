/**
 * How a read looks on the wire. Each format turns read items into text; an event is its stored text behind a prefix,
 * never parsed (but for YAML, which is for people).
 */
import { decodeRecord, linePrefix, type ReadItem, toLine } from "@millrace/engine";
import type { StreamEvent } from "@millrace/protocol";
import { dump } from "js-yaml";

export interface Writer<Item> {
  contentType: string;
  /** What is sent before the first item. */
  opening: string;
  /** The text of an item, "" for nothing. */
  write(item: Item): string | Uint8Array;
}

type Events = Extract<ReadItem, { kind: "events" }>;

const encoder = new TextEncoder();

/**
 * Server-sent events. The frames of a commit are encoded once for all who read along: `shared` is that cache, and
 * lives as long as the commit is kept.
 */
export function sseWriter(
  path: string,
  options: { markers: boolean; filtered: boolean },
  shared: WeakMap<readonly string[], Uint8Array>,
): Writer<ReadItem> {
  const prefix = linePrefix(path);
  return {
    contentType: "text/event-stream",
    opening: ":\nretry: 1000\n\n",
    write(item) {
      switch (item.kind) {
        case "events":
          return item.offsets === undefined ? sharedFrames(prefix, item, shared) : frames(prefix, item);
        case "scanned":
          return `id: ${item.through}\n\n`;
        case "idle":
          return options.filtered ? `:\nid: ${item.through}\n\n` : ":\n\n";
        case "caught-up":
          return options.markers ? `id: ${item.through}\nevent: caught-up\ndata: {"offset":${item.through}}\n\n` : "";
        case "deleted":
          return `event: deleted\ndata: {"streamPath":${JSON.stringify(path)},"head":${item.head}}\n\n`;
      }
    },
  };
}

function sharedFrames(prefix: string, item: Events, shared: WeakMap<readonly string[], Uint8Array>): Uint8Array {
  let encoded = shared.get(item.records);
  if (encoded === undefined) {
    encoded = encoder.encode(frames(prefix, item));
    shared.set(item.records, encoded);
  }
  return encoded;
}

function frames(prefix: string, { first, offsets, records }: Events): string {
  let text = "";
  for (let i = 0; i < records.length; i++) {
    const offset = offsets === undefined ? first + i : (offsets[i] as number);
    text += `id: ${offset}\nevent: message\ndata: ${toLine(prefix, offset, records[i] as string)}\n\n`;
  }
  return text;
}

export function ndjsonWriter(path: string): Writer<ReadItem> {
  const prefix = linePrefix(path);
  return {
    contentType: "application/x-ndjson",
    opening: "",
    write: (item) => (item.kind === "events" ? linesOf(prefix, item).join("") : ""),
  };
}

/** One document for each event, for people to read. */
export function yamlWriter(path: string): Writer<ReadItem> {
  return {
    contentType: "application/yaml; charset=utf-8",
    opening: "",
    write(item) {
      if (item.kind !== "events") return "";
      const events = item.records.map((record, i) => decodeRecord(path, item.offsets?.[i] ?? item.first + i, record));
      return events.map(yamlDocument).join("");
    },
  };
}

export function yamlDocument(event: StreamEvent): string {
  return `---\n${dump(event, { lineWidth: -1, noRefs: true })}`;
}

/** The events of an item as JSON lines, each with its line break. */
export function linesOf(prefix: string, { first, offsets, records }: Events): string[] {
  return records.map((record, i) => `${toLine(prefix, offsets?.[i] ?? first + i, record)}\n`);
}
