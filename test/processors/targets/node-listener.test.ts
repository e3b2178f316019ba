/** A fetch handler behind node:http: what it is given, what becomes of its answer, and what it is spared. */
import { once } from "node:events";
import { createServer, request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { type NodeListenerOptions, toNodeListener } from "@millrace/sdk/node";
import { expect, onTestFinished, test, vi } from "vitest";

async function listen(handler: (request: Request) => Response | Promise<Response>, options?: NodeListenerOptions) {
  const listener = toNodeListener(handler, options);
  let answered: Promise<void> | undefined;
  const server = createServer((incoming, outgoing) => {
    answered = listener(incoming, outgoing);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  /** What goes over the wire, as it is; the answer up to the end of the connection. */
  const raw = async (text: string): Promise<string> => {
    const socket = connect(port, "127.0.0.1");
    socket.write(text);
    let answer = "";
    for await (const chunk of socket) answer += chunk;
    return answer;
  };
  return { server, port, url: `http://127.0.0.1:${port}`, raw, answered: () => answered };
}

test("method, URL, headers and every byte of the body arrive; status, headers and body go back", async () => {
  const bytes = new Uint8Array(300_000).map((_, i) => i % 256);
  const { url } = await listen(async (request) => {
    const { method, headers } = request;
    const came = new Uint8Array(await request.arrayBuffer());
    const answer = new Headers([
      ["x-what", `${method} ${request.url} ${headers.get("x-one")} ${Buffer.from(bytes).equals(came)}`],
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ]);
    return new Response(came.slice(0, 3), { status: 201, headers: answer });
  });
  const response = await fetch(`${url}/a/b?c=%20d`, { method: "PUT", body: bytes, headers: { "x-one": "1" } });
  expect([response.status, response.headers.get("x-what")]).toEqual([201, `PUT ${url}/a/b?c=%20d 1 true`]);
  expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
  expect([...new Uint8Array(await response.arrayBuffer())]).toEqual([0, 1, 2]);
});

test.each([
  ["GET", 200, "GET"],
  ["HEAD", 200, ""],
  ["DELETE", 200, "DELETE"],
])("%s needs no body", async (method, status, text) => {
  const { url } = await listen(({ method }) => new Response(method));
  const response = await fetch(url, { method });
  expect([response.status, await response.text()]).toEqual([status, text]);
});

test("an answer without a body", async () => {
  const { url } = await listen(() => new Response(null, { status: 204 }));
  const response = await fetch(url, { method: "POST", body: "x" });
  expect([response.status, await response.text()]).toEqual([204, ""]);
});

test("a body of as many bytes as it may have is taken, and of one more refused, whether its length is said or not", async () => {
  let called = 0;
  const { port, url } = await listen(
    async (request) => {
      called++;
      return new Response(String((await request.text()).length));
    },
    { bodyBytesMax: 1_000 },
  );
  const most = await fetch(url, { method: "POST", body: "x".repeat(1_000) });
  expect([most.status, await most.text()]).toEqual([200, "1000"]);
  const more = await fetch(url, { method: "POST", body: "x".repeat(1_001) });
  expect([more.status, await more.text()]).toEqual([413, "A body has at most 1000 bytes here.\n"]);
  const chunked = request({ port, method: "POST" });
  for (let i = 0; i < 100; i++) chunked.write("x".repeat(100_000));
  chunked.end();
  const [{ statusCode }] = await once(chunked, "response");
  expect(statusCode).toBe(413);
  // It may still be at its body.
  chunked.on("error", () => undefined).destroy();
  expect(called).toBe(1);
});

test.each([
  ["a host that is none", "GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n"],
  ["a method that fetch forbids", "TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"],
  ["no path", "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"],
])("%s is refused", async (_, text) => {
  const { raw } = await listen(() => new Response("called"));
  expect(await raw(text)).toMatch(/^HTTP\/1\.1 400 .*\r\n\r\nThis is no request that could be passed on\.\n/s);
});

test("a path cannot name another host", async () => {
  const { raw } = await listen((request) => new Response(request.url));
  const answer = await raw("GET //elsewhere/x HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
  expect(answer).toContain("http://here//elsewhere/x");
});

test.each([
  ["throws", () => Promise.reject(new Error("out of order"))],
  ["answers with a body that fails", () => new Response(new ReadableStream({ pull: (body) => body.error("torn") }))],
])("a handler that %s is answered for with 500, and told", async (_, handler) => {
  const said = vi.spyOn(console, "error").mockImplementation(() => {});
  onTestFinished(() => said.mockRestore());
  const { url } = await listen(handler);
  const response = await fetch(url, { method: "POST", body: "{}" });
  expect([response.status, await response.text()]).toEqual([500, "The handler failed.\n"]);
  expect(said).toHaveBeenCalledTimes(1);
});

test("who leaves in the middle of the body ends it without a call, and without a word", async () => {
  const said = vi.spyOn(console, "error").mockImplementation(() => {});
  onTestFinished(() => said.mockRestore());
  let called = false;
  const { server, port, answered } = await listen(() => {
    called = true;
    return new Response();
  });
  const socket = connect(port, "127.0.0.1");
  socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
  await once(server, "request");
  socket.destroy();
  await answered();
  expect([called, said.mock.calls]).toEqual([false, []]);
});

test("who leaves before the answer aborts the signal of the request; who has it does not", async () => {
  const signals: AbortSignal[] = [];
  const { server, url, port } = await listen(async ({ signal, method }) => {
    signals.push(signal);
    if (method === "POST") await once(signal, "abort");
    return new Response();
  });
  await fetch(url);
  const socket = connect(port, "127.0.0.1");
  socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  await once(server, "request");
  await expect.poll(() => signals.length).toBe(2);
  socket.destroy();
  await once(signals[1] as AbortSignal, "abort");
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, true]);
});
