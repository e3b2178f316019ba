/**
 * What was acknowledged to whoever sent anything at all, and the comparison with the log: each acknowledged event is
 * there, and nothing is there that nobody was told of, but for what the server itself has to say.
 */
import { type StreamEvent, sortedJson } from "@millrace/protocol";
import { builtin } from "../../packages/millrace/test/model.ts";
import { getJson, readAll } from "../processes/http.ts";

interface Account {
  /** Events by offset, as JSON. */
  events: Map<number, string>;
  /** Everything up to here was deleted. */
  ended: number;
}

export interface Ledger {
  acknowledge(project: string, events: readonly StreamEvent[]): void;
  deleted(project: string, deletions: readonly { path: string; head: number }[]): void;
  /** A batch whose sender left: it is there as a whole, or not at all. */
  left(marker: string, count: number): void;
  /** Compares with what the server has. @returns how many events that was */
  audit(url: string, isOurs: (project: string) => boolean): Promise<number>;
}

export function createLedger(): Ledger {
  const accounts = new Map<string, Account>();
  const leftBatches = new Map<string, { count: number; found: number }>();

  function accountOf(project: string, path: string): Account {
    const name = `${project} ${path}`;
    const account = accounts.get(name) ?? { events: new Map(), ended: 0 };
    accounts.set(name, account);
    return account;
  }

  function auditStream(project: string, path: string, stored: readonly StreamEvent[]): void {
    const { events, ended } = accountOf(project, path);
    for (const [index, event] of stored.entries()) {
      const { offset } = event;
      if (offset !== ended + index + 1) throw new Error(`${project} ${path}: ${offset} stands at place ${index}`);
      const acknowledged = events.get(offset);
      const shown = sortedJson(event);
      if (acknowledged !== undefined && acknowledged !== shown)
        throw new Error(`${shown} was shown as ${acknowledged}`);
      if (acknowledged === undefined && !isOfServer(event, index) && !isLeft(event)) {
        throw new Error(`nobody was told of ${project} ${path}: ${shown}`);
      }
    }
    const head = ended + stored.length;
    for (const [offset, event] of events) if (offset > head) throw new Error(`lost: ${project} ${event}`);
  }

  function isLeft({ type, payload }: StreamEvent): boolean {
    const batch = type === "left" ? leftBatches.get(String(payload)) : undefined;
    if (batch !== undefined) batch.found++;
    return batch !== undefined;
  }

  return {
    acknowledge(project, stored) {
      for (const event of stored) {
        const { events } = accountOf(project, event.streamPath);
        const before = events.get(event.offset);
        const shown = sortedJson(event);
        if (before !== undefined && before !== shown) throw new Error(`${before} is now ${shown}`);
        events.set(event.offset, shown);
      }
    },
    deleted(project, deletions) {
      for (const { path, head } of deletions) {
        const account = accountOf(project, path);
        account.ended = Math.max(account.ended, head);
      }
    },
    left: (marker, count) => void leftBatches.set(marker, { count, found: 0 }),
    async audit(url, isOurs) {
      let total = 0;
      const remaining = new Set(accounts.keys());
      const { projects } = (await getJson(url, "/api/projects")) as { projects: { slug: string }[] };
      for (const { slug } of projects.filter((project) => isOurs(project.slug))) {
        for (const { path } of await allStreams(url, slug)) {
          const stored = await readAll(url, path, slug);
          auditStream(slug, path, stored);
          total += stored.length;
          remaining.delete(`${slug} ${path}`);
        }
      }
      for (const name of remaining) {
        const [project = "", path = ""] = name.split(" ");
        auditStream(project, path, []);
      }
      for (const [marker, { count, found }] of leftBatches) {
        if (found !== 0 && found !== count) throw new Error(`${found} of ${count} events of the batch ${marker}`);
      }
      return total;
    },
  };
}

function isOfServer({ type, source }: StreamEvent, index: number): boolean {
  if (type === builtin("initialized")) return index === 0;
  return source?.kind === "server" && (source.slug === "tree" || source.slug === "circuit-breaker");
}

export async function allStreams(url: string, project: string): Promise<{ path: string; head: number }[]> {
  const all: { path: string; head: number }[] = [];
  for (let cursor = ""; ; ) {
    const target = `/api/streams?${cursor === "" ? "" : `cursor=${encodeURIComponent(cursor)}`}`;
    const page = (await getJson(url, target, project)) as {
      streams: { path: string; head: number }[];
      next: string | null;
    };
    all.push(...page.streams);
    if (page.next === null) return all;
    cursor = page.next;
  }
}
