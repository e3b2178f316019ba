/**
 * Readers that follow streams live while the server is killed. What it insists on: whatever a reader was ever shown is
 * there afterwards, unchanged. Nothing may be shown from a state that is not on disk.
 */
import type { StreamEvent } from "@millrace/protocol";
import { readAll } from "../processes/http.ts";
import type { ServerProcess } from "../processes/server-process.ts";
import type { Workload } from "./harness.ts";

export interface ReadWorkload extends Workload {
  counts(): { seenLive: number };
}

/** @param paths streams that another workload writes to */
export function createReadWorkload(project: string, paths: readonly string[]): ReadWorkload {
  /** Lines by path and offset, as they were first shown. */
  const shown = new Map<string, Map<number, string>>(paths.map((path) => [path, new Map()]));
  let seenLive = 0;

  function see(path: string, line: string): void {
    const { offset } = JSON.parse(line) as StreamEvent;
    const before = shown.get(path)?.get(offset);
    if (before !== undefined && before !== line) throw new Error(`${path}@${offset} was ${before} and is now ${line}`);
    shown.get(path)?.set(offset, line);
    seenLive++;
  }

  return {
    name: "readers",
    counts: () => ({ seenLive }),

    async act(server, round, signal) {
      const show = (path: string) => (line: string) => {
        see(path, line);
        round.underway();
      };
      await Promise.all(paths.map((path) => followUntilDead(server, project, path, signal, show(path))));
    },

    async recover(server, { random }) {
      const path = random.pick([...paths]);
      await verifyPath(server, project, path, shown.get(path) as Map<number, string>);
    },

    async verify(server) {
      for (const [path, lines] of shown) await verifyPath(server, project, path, lines);
    },
  };
}

async function followUntilDead(
  server: ServerProcess,
  project: string,
  path: string,
  signal: AbortSignal,
  see: (line: string) => void,
): Promise<void> {
  let rest = "";
  let body: AsyncIterable<Uint8Array>;
  try {
    const target = `${server.url}/api/streams${path}?live=true&format=ndjson&afterOffset=end&project=${project}`;
    body = (await fetch(target, { signal })).body as unknown as AsyncIterable<Uint8Array>;
  } catch {
    return; // killed before it answered
  }
  const decoder = new TextDecoder();
  const chunks = body[Symbol.asyncIterator]();
  for (;;) {
    const next = await chunks.next().catch(() => undefined);
    if (next === undefined || next.done) return;
    const lines = (rest + decoder.decode(next.value, { stream: true })).split("\n");
    rest = lines.pop() as string;
    for (const line of lines) see(line);
  }
}

async function verifyPath(
  server: ServerProcess,
  project: string,
  path: string,
  lines: ReadonlyMap<number, string>,
): Promise<void> {
  const events = await readAll(server.url, path, project);
  for (const [offset, line] of lines) {
    const stored = JSON.stringify(events[offset - 1]);
    if (stored !== JSON.stringify(JSON.parse(line))) {
      throw new Error(`${path}@${offset} was shown as ${line}, but is stored as ${stored}`);
    }
  }
}
