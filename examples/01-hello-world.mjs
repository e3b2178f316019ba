/**
 * Append an event, and read the stream. With a server running (`npm start`):
 *
 *     node examples/01-hello-world.mjs
 */
import { createEventsClient } from "@millrace/sdk";

const [path = "/examples/hello"] = process.argv.slice(2);
const client = createEventsClient({ baseUrl: process.env.MILLRACE_URL ?? "http://127.0.0.1:4040" });

await client.append(path, { type: "hello-world", payload: { message: "hi" } });

for await (const { offset, type, payload } of client.read(path)) console.log(offset, type, JSON.stringify(payload));
