/** Wherever there is no way in, a laptop for one: Node or Bun, `node examples/hosts/pull.mjs`. It asks the server itself. */
import { fileCursors } from "@millrace/sdk/node";
import { createEventsClient, runProcessor } from "@millrace/sdk/processor";
import { pong } from "./pong.mjs";

const { CURSORS = "pong.cursors", MILLRACE_URL = "http://127.0.0.1:4040", PULLED = "/games/**" } = process.env;
const client = createEventsClient({ baseUrl: MILLRACE_URL });
const run = runProcessor({ client, processor: pong, path: PULLED, cursors: fileCursors(CURSORS) });
process.once("SIGTERM", () => run.stop());
await run.ready;
console.log(`answering the pings of ${PULLED}`);
await run.done;
