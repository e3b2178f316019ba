/**
 * Bytes as they come, from clients that are careless, slow or broken: any request gets an answer or a closed connection
 * within 35 seconds, and never a 500. All run beside each other, because one of them takes half a minute.
 */
import { describe, expect, test } from "vitest";
import { append, breakerOff, getJson, postJson, readAll } from "../processes/http.ts";
import { sharedServer } from "../processes/shared-server.ts";
import { exchange, open, statuses } from "./sockets.ts";

const server = sharedServer(({ stderr }) => {
  // None of all this is a fault of the server, so its log has nothing to say.
  expect(stderr).toBe("");
});

const host = "Host: localhost\r\n";
const close = "Connection: close\r\n";
const event = '{"type":"a"}';

function post(path: string, body: string, headers = close): string {
  return `POST ${path} HTTP/1.1\r\n${host}${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** The last body in a text of responses. */
function lastBody(text: string) {
  return JSON.parse(text.slice(text.lastIndexOf("\r\n\r\n") + 4));
}

describe.concurrent("requests that are in order", () => {
  test("pipelined ones are answered one behind the other", async () => {
    const requests = [0, 1, 2, 3].map((n) => post("/pipelined", `{"type":"n","payload":${n}}`, ""));
    const text = await exchange(
      server.port,
      `${requests.join("")}GET /pipelined?format=json HTTP/1.1\r\n${host}${close}\r\n`,
    );
    expect(statuses(text)).toEqual([200, 200, 200, 200, 200]);
    const payloads = [...text.matchAll(/\{"event":\{.*?"offset":(\d+).*?"payload":(\d)/g)].map(([, offset, n]) => [
      offset,
      n,
    ]);
    expect(payloads).toEqual([
      ["2", "0"],
      ["3", "1"],
      ["4", "2"],
      ["5", "3"],
    ]);
  });

  test("in chunks, torn at every byte", async () => {
    const body = '{"type":"chunked","payload":"ü😀"}';
    const bytes = Buffer.from(body);
    const connection = await open(server.port);
    connection.socket.setNoDelay(true);
    connection.socket.write(`POST /chunked HTTP/1.1\r\n${host}${close}Transfer-Encoding: chunked\r\n\r\n`);
    for (const byte of bytes) {
      connection.socket.write(`1\r\n`);
      connection.socket.write(Buffer.from([byte]));
      connection.socket.write("\r\n");
    }
    connection.socket.write("0\r\n\r\n");
    expect(statuses(await connection.closed)).toEqual([200]);
    expect((await readAll(server.url, "/chunked")).at(-1)).toMatchObject(JSON.parse(body));
  });

  test("with Expect: 100-continue", async () => {
    const connection = await open(server.port);
    connection.socket.write(
      `POST /expecting HTTP/1.1\r\n${host}${close}Expect: 100-continue\r\nContent-Length: ${event.length}\r\n\r\n`,
    );
    await connection.until((text) => text.startsWith("HTTP/1.1 100 Continue\r\n\r\n"));
    connection.socket.write(event);
    expect(statuses(await connection.closed)).toEqual([100, 200]);
  });

  test.each([
    "GET /healthz",
    "GET /old?format=ndjson",
    "GET /api/streams",
    "HEAD /old",
    "OPTIONS /old",
    "OPTIONS /healthz",
  ])("HTTP/1.0 without Host: %s", async (line) => {
    const text = await exchange(server.port, `${line} HTTP/1.0\r\n\r\n`);
    expect(statuses(text)).toEqual([line.startsWith("OPTIONS") ? 204 : 200]);
  });

  test("HTTP/1.0 without Host can append", async () => {
    const text = await exchange(
      server.port,
      `POST /old/append HTTP/1.0\r\nContent-Length: ${event.length}\r\n\r\n${event}`,
    );
    expect(statuses(text)).toEqual([200]);
  });

  test("the whole URL as target, as proxies send it", async () => {
    for (const target of [
      "http://localhost/absolute?format=json",
      "http://localhost:1/api/streams/absolute?format=json",
    ]) {
      const text = await exchange(server.port, `GET ${target} HTTP/1.1\r\n${host}${close}\r\n`);
      expect(statuses(text)).toEqual([200]);
      expect(text).toContain('{"events":[],"next":null}');
    }
  });

  test("an upgrade that nobody offers is answered without it", async () => {
    const headers = `${host}Connection: Upgrade, close\r\nUpgrade: websocket\r\n`;
    expect(statuses(await exchange(server.port, `GET /healthz HTTP/1.1\r\n${headers}\r\n`))).toEqual([200]);
  });
});

describe.concurrent("requests that are not", () => {
  const mangled: [what: string, bytes: string | Uint8Array, statuses: number[]][] = [
    ["no HTTP", "hello\r\n\r\n", [400]],
    ["a TLS greeting", new Uint8Array([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01]), [400]],
    ["zeros", new Uint8Array(1_000), [400]],
    ["an unknown method", `BREW /a HTTP/1.1\r\n${host}\r\n`, [400]],
    ["an unknown version", `GET /a HTTP/9.9\r\n${host}\r\n`, [400]],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]],
    ["HTTP/1.1 without Host", `GET /a HTTP/1.1\r\n${close}\r\n`, [400]],
    ["two lengths", `POST /a HTTP/1.1\r\n${host}${close}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`, [400]],
    [
      "a length and chunks",
      `POST /a HTTP/1.1\r\n${host}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      [400],
    ],
    ["a length that is none", `POST /a HTTP/1.1\r\n${host}Content-Length: two\r\n\r\n{}`, [400]],
    ["a negative length", `POST /a HTTP/1.1\r\n${host}Content-Length: -1\r\n\r\n`, [400]],
    ["a chunk that is none", `POST /a HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`, [400]],
    ["a header without a name", `GET /a HTTP/1.1\r\n${host}: x\r\n\r\n`, [400]],
    ["a zero in a header", `GET /a HTTP/1.1\r\n${host}X: a\u0000b\r\n\r\n`, [400]],
    ["an empty target", `GET  HTTP/1.1\r\n${host}\r\n`, [400]],
    ["a target of spaces", `GET a b HTTP/1.1\r\n${host}\r\n`, [400]],
    ["a target with bytes above 127", `GET /caf\u00e9 HTTP/1.1\r\n${host}${close}\r\n`, [400]],
    ["a star as target", `GET * HTTP/1.1\r\n${host}${close}\r\n`, [400]],
    ["OPTIONS *", `OPTIONS * HTTP/1.1\r\n${host}${close}\r\n`, [204]],
    ["a host with a space", `HEAD /a HTTP/1.1\r\nHost: a b\r\n${close}\r\n`, [400, 403]],
    ["a host with a space on a route of the API", `GET /api/streams HTTP/1.1\r\nHost: a b\r\n${close}\r\n`, [400, 403]],
    ["a backslash", `DELETE /api/streams/a\\b HTTP/1.1\r\n${host}${close}\r\n`, [400]],
    ["a backslash on a route of the API", `GET /api/state/a\\b HTTP/1.1\r\n${host}${close}\r\n`, [400]],
    ["broken percent-encoding", `GET /a%zz HTTP/1.1\r\n${host}${close}\r\n`, [400]],
    ["broken percent-encoding on a route of the API", `GET /api/state/a%zz HTTP/1.1\r\n${host}${close}\r\n`, [400]],
    ["dots", `DELETE /api/streams/a/../b HTTP/1.1\r\n${host}${close}\r\n`, [400]],
    ["TRACE", `TRACE /a HTTP/1.1\r\n${host}${close}\r\n`, [405]],
    ["CONNECT", `CONNECT localhost:80 HTTP/1.1\r\n${host}${close}\r\n`, [405]],
    [
      "an expectation that nobody can meet",
      `POST /a HTTP/1.1\r\n${host}${close}Expect: money\r\nContent-Length: 2\r\n\r\n{}`,
      [400],
    ],
    [
      "a trailer that ends in the middle",
      `POST /a HTTP/1.1\r\n${host}${close}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX`,
      [400],
    ],
  ];
  test.each(mangled)("%s", async (what, bytes, expected) => {
    const connection = await open(server.port);
    connection.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
    if (what.includes("ends in the middle")) connection.socket.end();
    const found = statuses(
      await connection.until((text) => text !== "" || expected.length === 0).then(() => connection.closed),
    );
    expect(found.length).toBe(Math.min(expected.length, 1));
    if (found.length > 0) expect(expected).toContain(found[0]);
    connection.socket.destroy();
  });

  test("the refusal of what is no HTTP is a problem document", async () => {
    const text = await exchange(server.port, "hello\r\n\r\n");
    expect(text).toContain("content-type: application/problem+json");
    expect(lastBody(text)).toMatchObject({ status: 400, code: "invalid_request" });
  });

  test.each([
    ["no Host", `GET /a HTTP/1.1\r\n${close}\r\n`],
    ["an expectation", `GET /a HTTP/1.1\r\n${host}${close}Expect: money\r\n\r\n`],
  ])("what Node would refuse by itself is a problem document: %s", async (_, bytes) => {
    expect(lastBody(await exchange(server.port, bytes))).toMatchObject({ status: 400, code: "invalid_request" });
  });

  test("a header of 64 KB is 431, with the limit", async () => {
    for (const headers of [`X-Long: ${"x".repeat(65_536)}\r\n`, `${"X-Many: 0123456789\r\n".repeat(3_500)}`]) {
      const text = await exchange(server.port, `GET /a HTTP/1.1\r\n${host}${headers}\r\n`);
      expect(statuses(text)).toEqual([431]);
      expect(lastBody(text)).toMatchObject({ status: 431, code: "headers_too_large", limit: 16_384 });
    }
    const long = await exchange(server.port, `GET /${"a".repeat(65_536)} HTTP/1.1\r\n${host}\r\n`);
    expect(statuses(long)).toEqual([431]);
  });

  test("a header of 15 KB is not too much", async () => {
    const text = await exchange(
      server.port,
      `GET /healthz HTTP/1.1\r\n${host}${close}X-Long: ${"x".repeat(15_000)}\r\n\r\n`,
    );
    expect(statuses(text)).toEqual([200]);
  });

  test("an empty line before a request is forgiven", async () => {
    expect(statuses(await exchange(server.port, `\r\n${post("/forgiven", event)}`))).toEqual([200]);
  });

  test("a refusal of what is mangled does not overtake the answers to what came before it", async () => {
    const good = ["/overtaken/a", "/overtaken/b"].map((path) => post(path, event, "")).join("");
    expect(statuses(await exchange(server.port, `${good}rubbish\r\n\r\n`))).toEqual([200, 200, 400]);
    const reading = `GET /overtaken/a?live=true HTTP/1.1\r\n${host}\r\n`;
    expect(statuses(await exchange(server.port, `${reading}rubbish\r\n\r\n`))).toEqual([200]);
  });

  test("what may go on stays in the order of answers", async () => {
    await append(server.url, "/going-on", { type: "a" });
    const read = `GET /going-on HTTP/1.1\r\n${host}\r\n`;
    const text = await exchange(server.port, read + post("/openapi.json", event, `${close}Expect: 100-continue\r\n`));
    expect(statuses(text)).toEqual([200, 405]);
    expect(lastBody(text)).toMatchObject({ code: "method_not_allowed" });
    const expecting = post("/going-on", "", "Expect: 100-continue\r\n") + post("/behind-going-on", event);
    expect(statuses(await exchange(server.port, read + expecting))).toEqual([200, 200]);
    expect(await readAll(server.url, "/behind-going-on")).toEqual([]);
  });

  test("CONNECT behind a good request does not take its answer away", async () => {
    const text = await exchange(server.port, `${post("/then-connect", event, "")}CONNECT a:80 HTTP/1.1\r\n${host}\r\n`);
    expect(statuses(text)).toEqual([200, 405]);
  });

  test("what stands behind the end of a connection is not taken on", async () => {
    await exchange(server.port, post("/before-end", event) + post("/behind-end", event));
    expect(await readAll(server.url, "/before-end")).toHaveLength(2);
    const connection = await open(server.port);
    connection.socket.write(`POST /not//a-path HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\n{`);
    await connection.until((text) => text.includes("invalid_request"));
    connection.socket.write(`}${post("/behind-end", event)}`);
    expect(statuses(await connection.closed)).toEqual([400]);
    expect(await readAll(server.url, "/behind-end")).toEqual([]);
  });

  test("what is mangled behind an upgrade that nobody offers is not waited for", async () => {
    const upgrade = `${host}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: ${event.length}\r\n\r\n${event}`;
    const connection = await open(server.port);
    connection.socket.write(`POST /upgraded HTTP/1.1\r\n${upgrade}`);
    await connection.until((text) => text.includes('{"event"'));
    connection.socket.write(`POST mangled HTTP/1.1\r\n${host}\r\n`);
    expect(statuses(await connection.until((_, ended) => ended))).toEqual([200]);
  });

  test("what is mangled behind a good request does not undo it", async () => {
    const connection = await open(server.port);
    connection.socket.write(post("/then-mangled", event, ""));
    await connection.until((text) => text.includes('{"event"'));
    connection.socket.write("rubbish\r\n\r\n");
    expect(statuses(await connection.closed)).toEqual([200, 400]);
    expect(await readAll(server.url, "/then-mangled")).toHaveLength(2);
  });
});

describe.concurrent("bodies", () => {
  const mebibyte = 1024 * 1024;

  test("2 MB in one event are 413; the same connection goes on", async () => {
    const long = JSON.stringify({ type: "a", payload: "x".repeat(2 * mebibyte) });
    const text = await exchange(server.port, post("/large", long, "") + post("/large", event));
    expect(statuses(text)).toEqual([413, 200]);
    expect(text).toContain('"code":"too_large"');
    expect(text).toContain(`"limit":${mebibyte}`);
    expect(await readAll(server.url, "/large")).toHaveLength(2);
  });

  test.each([
    ["that say so before", `Content-Length: ${10 * mebibyte}\r\n\r\n`, (part: string) => part],
    ["in chunks", "Transfer-Encoding: chunked\r\n\r\n", (part: string) => `${part.length.toString(16)}\r\n${part}\r\n`],
  ])(
    "10 MB %s are 413 and a connection that ends, also for who sends it all before reading",
    async (_, head, frame) => {
      const connection = await open(server.port);
      connection.socket.write(`POST /larger HTTP/1.1\r\n${host}${head}`);
      for (let sent = 0; sent < 10; sent++) connection.socket.write(frame("x".repeat(mebibyte)));
      await connection.until((text) => text.includes("too_large"));
      const text = await connection.closed;
      expect(statuses(text)).toEqual([413]);
      expect(text.toLowerCase()).toContain("connection: close");
      expect(lastBody(text)).toMatchObject({ code: "too_large", limit: 8 * mebibyte });
      connection.socket.destroy();
      expect(await readAll(server.url, "/larger")).toEqual([]);
    },
  );

  test("a program that uses fetch sees the 413 too", async () => {
    const response = await fetch(`${server.url}/larger`, { method: "POST", body: new Uint8Array(10 * mebibyte) });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ code: "too_large" });
  });

  test("10 MB behind Expect: 100-continue are refused", async () => {
    const connection = await open(server.port);
    connection.socket.write(
      `POST /larger HTTP/1.1\r\n${host}Expect: 100-continue\r\nContent-Length: ${10 * mebibyte}\r\n\r\n`,
    );
    expect(statuses(await connection.closed).at(-1)).toBe(413);
  });

  test("a batch whose 500th event is broken", async () => {
    await append(server.url, "/broken-batch", breakerOff);
    const texts = Array.from({ length: 1_000 }, (_, n) => `{"type":"n","payload":${n}}`);
    texts[499] = '{"type":"n","payload":499,"oops":true}';
    const stored = await append(
      server.url,
      "/broken-batch",
      texts.map((text) => JSON.parse(text)),
    );
    expect(stored).toHaveLength(1_000);
    expect(stored.filter(({ type }) => type !== "n").map(({ offset }) => offset)).toEqual([502]);
  });

  test("NDJSON that was cut in the middle is whole where it was whole", async () => {
    const body = '{"type":"a"}\n{"type":"b"}\n{"type":"c","payl';
    const headers = { "content-type": "application/x-ndjson" };
    const response = await fetch(`${server.url}/cut`, { method: "POST", body, headers });
    expect(response.status).toBe(200);
    const types = (await readAll(server.url, "/cut")).map(({ type }) => type).slice(1);
    expect(types).toEqual(["a", "b", "https://events.iterate.com/events/stream/invalid-event-appended"]);
  });

  test.each<[when: string, bytes: string]>([
    ["in the middle of the body", `POST /gone HTTP/1.1\r\n${host}Content-Length: 100\r\n\r\n{"type":"a"`],
    ["in the middle of a chunk", `POST /gone HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n64\r\n{"type":"a"`],
    ["in the middle of the headers", `POST /gone HTTP/1.1\r\n${host}Content-Le`],
  ])("a client that goes %s leaves nothing", async (_, bytes) => {
    for (const goodbye of ["end", "destroy"] as const) {
      const connection = await open(server.port);
      connection.socket.write(bytes);
      await new Promise((resolve) => connection.socket.write("", resolve));
      connection.socket[goodbye]();
      for (const status of statuses(await connection.closed)) expect(status).toBe(400);
    }
    expect(await readAll(server.url, "/gone")).toEqual([]);
  });

  test("a client that goes before the answer has appended all the same, or nothing, and never half", async () => {
    await append(server.url, "/left", breakerOff);
    const body = JSON.stringify(Array.from({ length: 50 }, () => ({ type: "n" })));
    for (let n = 0; n < 20; n++) {
      const connection = await open(server.port);
      connection.socket.write(post("/left", body), () => connection.socket.destroy());
      await connection.closed;
    }
    await append(server.url, "/left", { type: "end" });
    const events = await readAll(server.url, "/left");
    expect((events.length - 3) % 50).toBe(0);
    expect(events.map(({ offset }) => offset)).toEqual(events.map((_, index) => index + 1));
  });

  test("readers that go leave their places", async () => {
    await append(server.url, "/seats", { type: "a" });
    const readers = async () => (await getJson(server.url, "/readyz")).readers as number;
    const connections = await Promise.all(Array.from({ length: 20 }, () => open(server.port)));
    for (const { socket } of connections) socket.write(`GET /seats?live=true HTTP/1.1\r\n${host}\r\n`);
    for (const connection of connections) await connection.until((text) => text.includes("id: 2"));
    expect(await readers()).toBeGreaterThanOrEqual(20);
    for (const { socket } of connections) socket.destroy();
    const deadline = performance.now() + 10_000;
    while ((await readers()) >= 20 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await readers()).toBeLessThan(20);
  });

  test("a body that stops half-way is 408 within 35 seconds, and holds up nobody", async () => {
    const started = performance.now();
    const stopped = [
      `POST /stopped HTTP/1.1\r\n${host}Content-Length: 100\r\n\r\n{"type":"a"`,
      `POST /stopped HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n64\r\n{"type":"a"`,
      `POST /stopped HTTP/1.1\r\n${host}X-Never: `,
      `DELETE /api/streams/stopped HTTP/1.1\r\n${host}Content-Length: 100\r\n\r\n`,
      `GET /api/streams HTTP/1.1\r\n${host}X-Never: `,
    ];
    const connections = await Promise.all(stopped.map(() => open(server.port)));
    for (const [index, { socket }] of connections.entries()) socket.write(stopped[index] as string);
    const drip = await open(server.port);
    drip.socket.write(`POST /stopped HTTP/1.1\r\n${host}Content-Length: 100000\r\n\r\n`);
    const dripping = setInterval(() => drip.socket.write("x"), 500);
    await postJson(server.url, "/not-stopped", { type: "a" });
    const texts = await Promise.all([...connections, drip].map(({ closed }) => closed));
    clearInterval(dripping);
    expect(performance.now() - started).toBeLessThan(35_000);
    for (const [index, text] of texts.entries()) {
      if (index === 3) continue; // answered at once: a deletion does not wait for a body
      expect(statuses(text), stopped[index]).toEqual([408]);
      expect(lastBody(text)).toMatchObject({ code: "request_timeout", timeoutMs: 30_000 });
    }
    expect(await readAll(server.url, "/stopped")).toEqual([]);
  }, 45_000);
});
