/**
 * What a processor's hop cannot do without: the same two appends and two deliveries by `node:http` and a few lines, with
 * no keys, no cursor, no state and no way back after a lost connection.
 */
import { Agent, get, request } from "node:http";

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

function append(agent, url, event) {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const posted = request(url, { agent, method: "POST", headers }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (part) => {
        text += part;
      });
      answer.on("end", () => {
        if (answer.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`an append was answered ${answer.statusCode}`));
      });
    });
    posted.on("error", reject);
    posted.end(JSON.stringify(event));
  });
}

/** Resolves with the first bytes: from then on it is live. */
function follow(url, onEvent) {
  return new Promise((resolve, reject) => {
    const asked = get(url, { agent: false }, (answer) => {
      let rest = "";
      answer.setEncoding("utf8");
      answer.on("error", () => {});
      answer.on("data", (text) => {
        resolve(asked);
        const lines = (rest + text).split("\n");
        rest = lines.pop();
        for (const line of lines) if (line.startsWith("data: {")) onEvent(JSON.parse(line.slice(6)));
      });
    });
    asked.on("error", reject);
  });
}
