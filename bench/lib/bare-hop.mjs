/**
 * What a processor's hop cannot do without: the same two appends and two deliveries by `node:http` and a few lines, with
 * no keys, no cursor, no state and no way back after a lost connection.
 */
import { Agent } from "node:http";
import { append, follow } from "./by-hand.mjs";

/**
 * @param {{port: number, path: string, breaker: object, recordAppend(milliseconds: number): void,
 *   recordHop(milliseconds: number): void, count: number}} job
 */
export async function bareHop({ port, path, breaker, count, recordAppend, recordHop }) {
  const agent = new Agent({ keepAlive: true });
  const url = `http://127.0.0.1:${port}/api/streams${path}`;
  await append(agent, url, breaker);
  let arrived;
  const answering = await follow(`${url}?format=sse&live=true&afterOffset=end`, ({ type, payload }) => {
    if (type === "ping") append(agent, url, { type: "pong", payload });
  });
  const reading = await follow(`${url}?format=sse&live=true&afterOffset=end&type=pong`, () => arrived());
  for (let n = 0; n < count; n++) {
    const pong = new Promise((resolve) => {
      arrived = resolve;
    });
    const began = performance.now();
    await append(agent, url, { type: "ping", payload: { n } });
    recordAppend(performance.now() - began);
    await pong;
    recordHop(performance.now() - began);
  }
  for (const connection of [answering, reading]) connection.destroy();
  agent.destroy();
}
