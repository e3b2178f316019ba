/**
 * A runtime of its own, for the crash harness: url, directory, runtime id. It runs four processors on the same streams,
 * with cursors in files and on the server, deciding on what was missed and acting on it, and writes down each call.
 */
import { appendFileSync } from "node:fs";
import path from "node:path";
import { fileCursors } from "@millrace/sdk/node";
import { createEventsClient, runProcessor, serverCursors } from "@millrace/sdk/processor";

const [url, directory, runtimeId] = process.argv.slice(2);
const retry = { attempts: 1_000, baseMs: 5, maxMs: 100 };
const client = createEventsClient({ baseUrl: url, projectSlug: "runtimes", retry });

function begin(place, catchUp) {
  const slug = `${place}-${catchUp}`;
  // Whatever the process is killed at, what was written is there.
  const note = (call) => appendFileSync(path.join(directory, `${slug}.calls`), `${JSON.stringify(call)}\n`);
  const inFile = () => fileCursors(path.join(directory, `${slug}.jsonl`));
  const cursors = place === "file" ? inFile() : serverCursors({ client, slug, runtimeId });
  note({ began: process.pid });
  return runProcessor({ client, processor: answering(slug, catchUp, note), path: "/runs/*", cursors });
}

const answering = (slug, catchUp, note) => ({
  slug,
  initialState: { inputs: 0, sum: 0 },
  catchUp,
  reduce: ({ state, event }) =>
    event.type === "input" ? { inputs: state.inputs + 1, sum: state.sum + event.payload.number } : undefined,
  async afterAppend({ event, state, append }) {
    const { streamPath, offset, type, payload } = event;
    if (type === "report") await append({ type: "reported", payload: { state } });
    if (type !== "input") return;
    note({ path: streamPath, acting: offset });
    if (payload.slowMs > 0) await new Promise((resolve) => setTimeout(resolve, payload.slowMs));
    await append({ type: "output", payload: { state } });
    note({ path: streamPath, acted: offset });
  },
  async afterCatchUp({ streamPath, missed, interrupted, state, append }) {
    note({ path: streamPath, deciding: { missed, interrupted } });
    if (missed !== undefined) await append({ type: "decided", payload: { missed, state } });
    note({ path: streamPath, decided: { missed, interrupted } });
  },
});

const runs = ["file", "server"].flatMap((place) => ["decide", "act"].map((catchUp) => begin(place, catchUp)));
process.on("SIGTERM", async () => {
  await Promise.all(runs.map((run) => run.stop()));
  // A timer that is left would keep a program alive.
  process.exit(process.getActiveResourcesInfo().includes("Timeout") ? 3 : 0);
});
await Promise.all(runs.map(({ ready }) => ready));
process.stdout.write("ready\n");
await Promise.all(runs.map(({ done }) => done));
