/** Runs a deployed processor once, closes the server, and says which timers still hold the process. */
import { setTimeout as wait } from "node:timers/promises";
import { serve } from "../dist/index.js";

const server = await serve({ port: 0, host: "127.0.0.1", data: ":memory:", onFatal: console.error });
const append = (event) => fetch(`${server.url}/p`, { method: "POST", body: JSON.stringify(event) });
const script =
  "export default { afterAppend: ({ event, append }) => event.type === 'ping' && append({ type: 'pong' }) }";
const type = "https://events.iterate.com/dynamic-worker-configured";
await append({ type, payload: { slug: "p", script } });
await append({ type: "ping" });
const pong = await fetch(`${server.url}/p?type=pong&live=true&limit=1&format=json`);
await pong.text();
await server.close();
await wait(300);
console.log(`timers: ${process.getActiveResourcesInfo().filter((name) => name === "Timeout").length}`);
process.exit();
