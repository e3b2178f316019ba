/** A runtime that comes to a long history, from its start to the first event that it acts on: `node fold.mjs URL PATH`. */
import { httpTransport } from "../../packages/sdk/dist/node/index.js";
import { createEventsClient, runProcessor } from "../../packages/sdk/dist/processor/index.js";
import counting from "./counting.mjs";

const [baseUrl, path] = process.argv.slice(2);
const client = createEventsClient({ baseUrl, transport: httpTransport });
const state = await new Promise((resolve, reject) => {
  const processor = { ...counting, afterAppend: ({ state }) => resolve(state) };
  const run = runProcessor({ client, processor, path });
  run.ready.then(() => client.append(path, { type: "now" })).catch(reject);
});
console.log(JSON.stringify({ state }));
process.exit(0);
