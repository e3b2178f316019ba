/** A key makes an append safe to repeat: the same content gives the stored event, other content a conflict. */
import { expect, test } from "vitest";
import { append, builtin, errorOf, form, freshPath, json, ndjson, post, readAll, refused, storedIn } from "./calls.ts";
import { describeEach } from "./servers.ts";

const key = (value: string) => ({ "idempotency-key": value });

describeEach("idempotency", (server) => {
  /** The same request twice: one event, the same bytes in the answer, and a header that says so. */
  async function expectReplay(path: string, send: () => Promise<Response>): Promise<void> {
    const first = await send();
    expect(first.status).toBe(200);
    expect(first.headers.get("idempotent-replay")).toBe(null);
    const head = (await readAll(server(), path)).length;
    const second = await send();
    expect(second.headers.get("idempotent-replay")).toBe("true");
    expect(await second.text()).toBe(await first.text());
    expect(await readAll(server(), path)).toHaveLength(head);
  }

  test.each<[how: string, body: string, headers: Record<string, string>]>([
    ["the field", '{"type":"a","payload":{"n":1},"idempotencyKey":"k"}', {}],
    ["the header", '{"type":"a","payload":{"n":1}}', key("k")],
    ["both, agreeing", '{"type":"a","idempotencyKey":"k"}', key("k")],
    ["a key of 255 characters", '{"type":"a"}', key("k".repeat(255))],
    ["a field inside of `event`", '{"event":{"type":"a","idempotencyKey":"k"}}', {}],
    ["a key with characters of all kinds", '{"type":"a","idempotencyKey":"\\u0000 \\"ü😀\\n__proto__"}', {}],
    ["a batch with the header", '[{"type":"a"},{"type":"b"}]', key("k")],
    ["a batch with fields", '[{"type":"a","idempotencyKey":"x"},{"type":"b","idempotencyKey":"y"}]', {}],
    ["an invalid event with the header", '{"hogwash":1}', key("k")],
    ["an invalid event with the field", '{"hogwash":1,"idempotencyKey":"k"}', {}],
    ["malformed JSON", '{"type":', key("k")],
    ["an empty body", "", key("k")],
  ])("%s", async (_, body, headers) => {
    const path = freshPath();
    await expectReplay(path, () => post(server(), path, body, { contentType: json, headers }));
  });

  test("header and field are the same key, and the stored event shows it", async () => {
    const path = freshPath();
    const [first] = await append(server(), path, { type: "a" }, key("k"));
    expect(first?.idempotencyKey).toBe("k");
    expect(await append(server(), path, { type: "a", idempotencyKey: "k" })).toEqual([first]);
  });

  test("a batch counts the header as <key>/<index>", async () => {
    const path = freshPath();
    const batch = await append(server(), path, [{ type: "a" }, { type: "b" }], key("k"));
    expect(batch.map(({ idempotencyKey }) => idempotencyKey)).toEqual(["k/0", "k/1"]);
    expect(await append(server(), path, { type: "b", idempotencyKey: "k/1" })).toEqual([batch[1]]);
    const agreeing = [{ type: "a", idempotencyKey: "k/0" }, { type: "b" }];
    expect(await append(server(), path, agreeing, key("k"))).toEqual(batch);
  });

  test("NDJSON, a form, multipart, bytes and a wrapped body are recognised again", async () => {
    for (const [body, contentType, query] of [
      ['{"type":"a"}\n{"type":"b', ndjson, ""],
      ["a=1&b=2", form, ""],
      ["a=1&b=2", form, "?type=form"],
      ['{"a":1}', json, "?type=hook&raw=true"],
      ["not json", json, `?type=${encodeURIComponent(builtin("paused"))}`],
      [new Uint8Array([0xff, 0xfe]), "image/png", ""],
      [new Uint8Array([0xff, 0xfe]), "image/png", "?type=picture"],
      ["--b\r\n\r\n--b--", "multipart/form-data; boundary=b", "?type=upload"],
    ] as const) {
      const path = freshPath();
      await expectReplay(path, () => post(server(), path, body, { contentType, query, headers: key("k") }));
    }
  });

  test("the order of keys, spaces and escapes are not content", async () => {
    const path = freshPath();
    const texts = [
      '{"type":"a","payload":{"x":1,"y":{"p":[1,2],"q":null}},"metadata":{"m":"ü"},"idempotencyKey":"k"}',
      '{ "idempotencyKey":"k", "metadata":{"m":"\\u00fc"}, "payload":{"y":{"q":null,"p":[1.0,2]},"x":1}, "type":" a " }',
      '{"event":{"metadata":{"m":"ü"},"type":"a","payload":{"x":1,"y":{"p":[1,2],"q":null}},"idempotencyKey":"k"}}',
    ];
    const answers = [];
    for (const text of texts) answers.push(await (await post(server(), path, text, { contentType: json })).text());
    expect(new Set(answers).size).toBe(1);
  });

  test("an absent payload is {}, and a short type is its canonical form", async () => {
    const path = freshPath();
    const [first] = await append(server(), path, { type: "a", idempotencyKey: "k" });
    expect(await append(server(), path, { type: "a", payload: {}, idempotencyKey: "k" })).toEqual([first]);
    const short = { type: "https://events.iterate.com/stream-metadata-updated", payload: { metadata: {} } };
    const [second] = await append(server(), path, { ...short, idempotencyKey: "m" });
    const long = { ...short, type: builtin("metadata-updated"), idempotencyKey: "m" };
    expect(await append(server(), path, long)).toEqual([second]);
  });

  test.each<[first: string, second: string]>([
    ['{"type":"a"}', '{"type":"b"}'],
    ['{"type":"a","payload":1}', '{"type":"a","payload":2}'],
    ['{"type":"a","payload":null}', '{"type":"a","payload":{}}'],
    ['{"type":"a","payload":[1,2]}', '{"type":"a","payload":[2,1]}'],
    ['{"type":"a"}', '{"type":"a","metadata":{}}'],
    ['{"type":"a","metadata":{"m":1}}', '{"type":"a","metadata":{"m":2}}'],
    ['{"type":"a"}', "hogwash"],
    // A body that is no event is compared by its bytes.
    ['{"hogwash":1}', '{ "hogwash": 1 }'],
    ["hogwash", "hogwash\n"],
  ])("%j and then %j with one key is a conflict", async (first, second) => {
    const path = freshPath();
    const headers = key("the key");
    await storedIn(await post(server(), path, first, { contentType: json, headers }));
    const problem = await refused(
      await post(server(), path, second, { contentType: json, headers }),
      "idempotency_conflict",
    );
    expect(problem).toMatchObject({ idempotencyKey: "the key", offset: 2 });
    expect(problem.detail).toContain('"the key"');
    expect(await readAll(server(), path)).toHaveLength(2);
  });

  test("an expected offset is not content", async () => {
    const path = freshPath();
    const [first] = await append(server(), path, { type: "a", offset: 2, idempotencyKey: "k" });
    expect(await append(server(), path, { type: "a", idempotencyKey: "k" })).toEqual([first]);
    expect(await append(server(), path, { type: "a", offset: 2, idempotencyKey: "k" })).toEqual([first]);
  });

  test("a conflict refuses the whole batch and names the element", async () => {
    const path = freshPath();
    await append(server(), path, { type: "a", idempotencyKey: "k" });
    const batch = JSON.stringify([{ type: "x" }, { type: "b", idempotencyKey: "k" }, { type: "y" }]);
    const problem = await refused(await post(server(), path, batch, { contentType: json }), "idempotency_conflict");
    expect(problem).toMatchObject({ element: 1, idempotencyKey: "k", offset: 2 });
    expect(await readAll(server(), path)).toHaveLength(2);
  });

  test("a batch that is partly known appends the rest, and is no replay", async () => {
    const path = freshPath();
    const [known] = await append(server(), path, { type: "a", idempotencyKey: "k" });
    const body = JSON.stringify([{ type: "a", idempotencyKey: "k" }, { type: "b" }]);
    const response = await post(server(), path, body, { contentType: json });
    expect(response.headers.get("idempotent-replay")).toBe(null);
    const batch = await storedIn(response);
    expect(batch[0]).toEqual(known);
    expect(batch[1]).toMatchObject({ offset: 3, type: "b" });
  });

  test("the same key twice in one batch is one event", async () => {
    const path = freshPath();
    const twice = [
      { type: "a", idempotencyKey: "k" },
      { type: "a", idempotencyKey: "k" },
    ];
    const batch = await append(server(), path, twice);
    expect(batch.map(({ offset }) => offset)).toEqual([2, 2]);
    const other = JSON.stringify([
      { type: "a", idempotencyKey: "l" },
      { type: "b", idempotencyKey: "l" },
    ]);
    const problem = await refused(await post(server(), path, other, { contentType: json }), "idempotency_conflict");
    expect(problem.element).toBe(1);
    expect(await readAll(server(), path)).toHaveLength(2);
  });

  test("many at once with one key are one event", async () => {
    const path = freshPath();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => append(server(), path, { type: "a", payload: 1, idempotencyKey: "k" })),
    );
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await readAll(server(), path)).toHaveLength(2);
  });

  test("a replay is answered while the stream is paused", async () => {
    const path = freshPath();
    const [first] = await append(server(), path, { type: "a", idempotencyKey: "k" });
    await append(server(), path, { type: builtin("paused") });
    await refused(await post(server(), path, '{"type":"b"}', { contentType: json }), "stream_paused");
    const response = await post(server(), path, '{"type":"a","idempotencyKey":"k"}', { contentType: json });
    expect(response.headers.get("idempotent-replay")).toBe("true");
    expect(await storedIn(response)).toEqual([first]);
  });

  test("keys belong to a stream, and end with it", async () => {
    const path = freshPath();
    const other = freshPath();
    await append(server(), path, { type: "a", idempotencyKey: "k" });
    const [elsewhere] = await append(server(), other, { type: "b", idempotencyKey: "k" });
    expect(elsewhere?.offset).toBe(2);
    await server().send(`/api/streams${path}`, { method: "DELETE" });
    const [again] = await append(server(), path, { type: "c", idempotencyKey: "k" });
    expect(again).toMatchObject({ type: "c", offset: 4 });
  });

  test.each<[why: string, body: string, header: string]>([
    ["header and field differ", '{"type":"a","idempotencyKey":"x"}', "y"],
    ["header and field of a batch differ", '[{"type":"a","idempotencyKey":"k"}]', "k"],
    ["an empty header", '{"type":"a"}', ""],
    ["a header of 256 characters", '{"type":"a"}', "k".repeat(256)],
    ["a header that is too long as <key>/<index>", '[{"type":"a"}]', "k".repeat(254)],
  ])("%s: 400", async (_, body, header) => {
    const path = freshPath();
    const response = await post(server(), path, body, { contentType: json, headers: key(header) });
    const problem = await refused(response, "invalid_request");
    expect(problem.field).toBe("Idempotency-Key");
    expect(await readAll(server(), path)).toEqual([]);
  });

  test.each(['"idempotencyKey":""', `"idempotencyKey":"${"k".repeat(256)}"`, '"idempotencyKey":"\\ud800"'])(
    "a field %s makes an invalid event, each time",
    async (field) => {
      const path = freshPath();
      for (const offset of [2, 3]) {
        const [event] = await storedIn(await post(server(), path, `{"type":"a",${field}}`, { contentType: json }));
        expect(event).toMatchObject({ offset, type: builtin("invalid-event-appended") });
        expect(errorOf(event)).toMatch(/^idempotencyKey: expected/);
      }
    },
  );
});
