/** The floor for live readers: a bare node:http server that tells whoever listens to a path what is posted there. */
import { createServer } from "node:http";

/** @type {Map<string, Set<import("node:http").ServerResponse>>} */
const listeners = new Map();

const server = createServer((request, response) => {
  if (request.method === "GET") return listen(request, response);
  let text = "";
  request.setEncoding("utf8");
  request.on("data", (chunk) => {
    text += chunk;
  });
  request.on("end", () => {
    const frame = Buffer.from(`data: ${JSON.stringify(JSON.parse(text))}\n\n`);
    for (const listener of listeners.get(request.url) ?? []) listener.write(frame);
    response.writeHead(200, { "content-type": "application/json", "content-length": 2 });
    response.end("{}");
  });
});

function listen({ url }, response) {
  const path = url.split("?", 1)[0];
  const all = listeners.get(path) ?? new Set();
  listeners.set(path, all.add(response));
  response.on("close", () => all.delete(response));
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  response.write(":\n\n");
}

server.listen(0, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
process.on("SIGTERM", () => process.exit(0));
