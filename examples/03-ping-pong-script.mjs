/**
 * Answer each ping with a pong, by hand: a tail and an append.
 *
 *     node examples/03-ping-pong-script.mjs
 *
 * and in another terminal: npx millrace append /examples/pings ping --payload '{"n":1}'
 *
 * It counts in a variable and begins at the end of the stream: whatever is sent while it is away is never answered, and
 * its count is forgotten. A processor, the next example, has neither fault.
 */
import { createEventsClient } from "@millrace/sdk";

const [path = "/examples/pings"] = process.argv.slice(2);
const client = createEventsClient({ baseUrl: process.env.MILLRACE_URL ?? "http://127.0.0.1:4040" });
let count = 0;

for await (const event of client.tail(path, { onCaughtUp: () => console.log(`waiting for pings in ${path}`) })) {
  if (event.type !== "ping") continue;
  count++;
  // With its cause, so that the stream says why it is there, and two scripts that answer each other come to an end.
  const cause = { streamPath: path, offset: event.offset, depth: event.source?.depth ?? 0, slug: "ping-pong-script" };
  // With a key of its own for each ping, so that two of these scripts answer once.
  const idempotencyKey = `pong/${event.offset}`;
  const { n } = event.payload;
  await client.append(path, { type: "pong", payload: { n, count } }, { cause, idempotencyKey });
  console.log(`pong ${n}`);
}
