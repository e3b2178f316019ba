/**
 * Follow a stream live: first what is there, then what comes, over lost connections and restarts of the server.
 *
 *     node examples/02-tail.mjs
 *
 * and in another terminal, as often as you like: node examples/01-hello-world.mjs
 */
import { createEventsClient } from "@millrace/sdk";

const [path = "/examples/hello"] = process.argv.slice(2);
const client = createEventsClient({ baseUrl: process.env.MILLRACE_URL ?? "http://127.0.0.1:4040" });

const events = client.stream(path, { after: 0, onCaughtUp: () => console.log("(from here on live)") });
for await (const { offset, type, payload } of events) console.log(offset, type, JSON.stringify(payload));
