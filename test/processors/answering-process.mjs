/** A processor in a process of its own, for tests that kill it: url, file of cursors, catchUp, file of its calls. */
import { appendFileSync } from "node:fs";
import { fileCursors } from "@millrace/sdk/node";
import { createEventsClient, runProcessor } from "@millrace/sdk/processor";

const [url, cursors, catchUp, calls] = process.argv.slice(2);
const client = createEventsClient({ baseUrl: url, retry: { attempts: 1_000, baseMs: 5, maxMs: 100 } });
const note = (call) => appendFileSync(calls, `${JSON.stringify(call)}\n`);

const processor = {
  slug: "answerer",
  initialState: { inputs: 0, sum: 0 },
  catchUp,
  reduce: ({ state, event }) =>
    event.type === "input" ? { inputs: state.inputs + 1, sum: state.sum + event.payload } : undefined,
  async afterAppend({ event, state, append }) {
    const { streamPath: path, offset } = event;
    if (event.type === "input") {
      await append({ type: "output", payload: state });
      note({ path, acted: offset });
    }
    if (event.type === "report") await append({ type: "reported", payload: state });
  },
  async afterCatchUp({ streamPath: path, missed, interrupted, state, append }) {
    if (missed !== undefined) await append({ type: "decided", payload: state });
    note({ path, missed, interrupted });
  },
};

const run = runProcessor({ client, processor, path: "/kill/*", cursors: fileCursors(cursors) });
process.on("SIGTERM", () =>
  run.stop().then(() => process.exit(process.getActiveResourcesInfo().includes("Timeout") ? 3 : 0)),
);
await run.ready;
process.stdout.write("ready\n");
await run.done;
