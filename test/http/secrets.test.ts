/** `/api/secrets`: set, listed, removed, never read. And wherever a value could slip out, it does not. */
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { startServer, temporaryDirectory } from "../processes/server-process.ts";
import { append, json, readJson, refused } from "./calls.ts";
import { describeEach, type Sending, type TestServer } from "./servers.ts";

const value = "hunter2-the-value";
const secret = (name: string, more: object = {}) => ({ name, value, hosts: ["api.example.com"], ...more });
const post = (body: unknown, headers: Record<string, string> = {}): Sending => ({
  method: "POST",
  headers: { "content-type": json, ...headers },
  body: typeof body === "string" ? body : JSON.stringify(body),
});
const set = (server: TestServer, body: unknown, headers: Record<string, string> = {}) =>
  server.send("/api/secrets", post(body, headers));
const deletion: Sending = { method: "DELETE" };

/** Bodies that are no secret, all with the value in them, and the field that the refusal names. */
const wrong: [what: string, body: unknown, field: string | undefined][] = [
  ["malformed JSON", `{"name":"A","value":"${value}"`, undefined],
  ["malformed JSON in the value", `{"name":"A","value":"${value}\n"}`, undefined],
  ["no JSON", value, undefined],
  ["a string", `"${value}"`, undefined],
  ["a list", [value], undefined],
  ["null", "null", undefined],
  ["nothing", "", undefined],
  ["an unknown key", secret("A", { [value]: value }), undefined],
  ["a wrong case", { name: "A", Value: value, hosts: ["a.example"] }, undefined],
  ["no name", { value, hosts: ["a.example"] }, "name"],
  ["the value as name", secret(`${value}/`), "name"],
  ["a name of dots", secret(".."), "name"],
  ["a name that is a list", secret("A", { name: [value] }), "name"],
  ["no value", { name: "A", hosts: ["a.example"], description: value }, "value"],
  ["an empty value", secret("A", { value: "", description: value }), "value"],
  ["a value in a list", secret("A", { value: [value] }), "value"],
  ["a value in an object", secret("A", { value: { value } }), "value"],
  ["a value that is a number", secret("A", { value: 1, description: value }), "value"],
  ["a value with half a character", `{"name":"A","value":"${value}\\ud800","hosts":["a.example"]}`, "value"],
  ["no hosts", { name: "A", value }, "hosts"],
  ["an empty list of hosts", secret("A", { hosts: [] }), "hosts"],
  ["a host that is no list", secret("A", { hosts: "a.example" }), "hosts"],
  ["a host that is an object", secret("A", { hosts: [{ value }] }), "hosts"],
  ["a host with a path", secret("A", { hosts: ["https://a.example/x"] }), "hosts"],
  ["every host", secret("A", { hosts: ["*"] }), "hosts"],
  ["a description that is a number", secret("A", { description: 1 }), "description"],
  ["a long description", secret("A", { description: "d".repeat(1_001) }), "description"],
];

describeEach("secrets", (server) => {
  test("are set, listed by name, and removed; the value is in no answer", async () => {
    const first = await set(server(), secret("B", { description: "for tests" }));
    expect(first.status).toBe(200);
    const note = { name: "B", hosts: ["api.example.com"], description: "for tests" };
    const times = { createdAt: expect.stringMatching(/Z$/), updatedAt: expect.stringMatching(/Z$/) };
    expect(await first.json()).toEqual({ secret: { ...note, ...times } });
    await set(server(), secret("A"));
    const listed = await server().send("/api/secrets");
    const text = await listed.text();
    expect(text).not.toContain(value);
    expect(JSON.parse(text).secrets.map(({ name }: { name: string }) => name)).toEqual(["A", "B"]);
    expect(await readJson(server(), "/api/secrets/B", deletion)).toEqual({ deleted: true, name: "B" });
    const problem = await refused(await server().send("/api/secrets/B", deletion), "not_found");
    expect(problem.detail).toBe('There is no secret "B" in project public.');
    expect((await readJson(server(), "/api/secrets")).secrets).toHaveLength(1);
  });

  test("belong to a project", async () => {
    await set(server(), secret("P"), { "x-project-slug": "one" });
    await server().send("/api/secrets?project=two", post(secret("P2")));
    const names = async (project: string) =>
      (await readJson(server(), `/api/secrets?project=${project}`)).secrets.map(({ name }: { name: string }) => name);
    expect([await names("one"), await names("two"), await names("three")]).toEqual([["P"], ["P2"], []]);
    await refused(await server().send("/api/secrets/P?project=two", deletion), "not_found");
    await refused(await server().send("/api/secrets?project=no%20good"), "invalid_request");
  });

  test("the same name again replaces it", async () => {
    const before = (await (await set(server(), secret("R"))).json()).secret;
    const after = (await (await set(server(), secret("R", { hosts: ["*.example.org"] }))).json()).secret;
    expect(after).toMatchObject({ hosts: ["*.example.org"], createdAt: before.createdAt });
  });

  test.each(wrong)("%s is refused, and nothing of it repeated", async (_, body, field) => {
    const listed = await readJson(server(), "/api/secrets");
    const response = await set(server(), body);
    const text = await response.clone().text();
    const problem = await refused(response, "invalid_request");
    expect(problem.field).toBe(field);
    expect(text).not.toMatch(/hunter2/);
    expect(await readJson(server(), "/api/secrets")).toEqual(listed);
  });

  test("what is too large is refused: a value, and a body", async () => {
    const problem = await refused(await set(server(), secret("L", { value: value.repeat(5_000) })), "too_large");
    expect(problem).toMatchObject({ limit: 65_536, unit: "bytes", detail: expect.not.stringContaining("hunter2") });
    await refused(await set(server(), secret("L", { value: value.repeat(600_000) })), "too_large");
    await refused(await server().send("/api/secrets/L", deletion), "not_found");
  });

  test("bytes that are no UTF-8 are no JSON", async () => {
    const body = Buffer.concat([Buffer.from('{"name":"A","value":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    await refused(await server().send("/api/secrets", { method: "POST", body }), "invalid_request");
  });

  test("methods, addresses and parameters that are not there", async () => {
    for (const method of ["PUT", "DELETE", "PATCH"]) {
      const response = await server().send("/api/secrets", { method });
      expect(response.headers.get("allow")).toBe("GET, HEAD, POST, OPTIONS");
      await refused(response, "method_not_allowed");
    }
    for (const method of ["GET", "POST", "PUT"]) {
      await refused(await server().send("/api/secrets/A", { method }), "method_not_allowed");
    }
    expect((await server().send("/api/secrets", { method: "OPTIONS" })).status).toBe(204);
    expect((await server().send("/api/secrets/A", { method: "OPTIONS" })).headers.get("allow")).toBe("DELETE, OPTIONS");
    expect((await server().send("/api/secrets", { method: "HEAD" })).status).toBe(200);
    await refused(await server().send(`/api/secrets?value=${value}`, post(secret("A"))), "invalid_request");
    for (const name of ["", "a%2Fb", "%E0%A4%A", "a/b", "a".repeat(256)]) {
      await refused(await server().send(`/api/secrets/${name}`, deletion), "invalid_request");
    }
  });

  test("nothing of all this was a fault of the server", () => {
    expect(server().faults).toEqual([]);
  });
});

describeEach(
  "of secrets",
  (server) => {
    test("there are so many for a project", async () => {
      for (const name of ["A", "B", "A"]) expect((await set(server(), secret(name))).status).toBe(200);
      const problem = await refused(await set(server(), secret("C")), "rate_limited");
      expect(problem).toMatchObject({ limit: 2, unit: "secrets of this project" });
    });
  },
  { limits: { secretsPerProject: 2 } },
);

describeEach(
  "access to secrets",
  (server) => {
    const authorization = "Bearer a-token-of-sixteen";

    test("asks for the token", async () => {
      for (const sending of [{}, post(secret("A")), deletion]) {
        const target = sending === deletion ? "/api/secrets/A" : "/api/secrets";
        await refused(await server().send(target, sending), "unauthorized");
      }
      expect((await set(server(), secret("A"), { authorization })).status).toBe(200);
    });

    test("is for pages of --cors-origin, and not for forms of --allow-forms-from", async () => {
      const origins = (origin: string) => ({ authorization, origin, "content-type": "text/plain" });
      const page = await set(server(), secret("A"), origins("https://page.example"));
      expect([page.status, page.headers.get("access-control-allow-origin")]).toEqual([200, "https://page.example"]);
      for (const origin of ["https://form.example", "https://evil.example"]) {
        await refused(await set(server(), secret("A"), origins(origin)), "forbidden_origin");
      }
      const form = { ...post('{"type":"a"}', origins("https://form.example")) };
      expect((await server().send("/form", form)).status).toBe(200);
    });
  },
  {
    access: {
      token: "a-token-of-sixteen",
      corsOrigins: ["https://page.example"],
      formOrigins: ["https://form.example"],
    },
  },
);

describe("a server as users start it", () => {
  test("says a value nowhere: not in answers, logs, metrics, files or the state", async () => {
    const { directory, remove } = temporaryDirectory();
    onTestFinished(remove);
    const server = await startServer({ data: directory, args: ["--log-level", "trace"] });
    let seen = "";
    const ask = async (target: string, sending: Sending = {}) => {
      const response = await fetch(server.url + target, sending as RequestInit);
      seen += `${[...response.headers].join()}\n${await response.text()}`;
      return response.status;
    };
    expect(await ask("/api/secrets", post(secret("A")))).toBe(200);
    for (const [, body] of wrong) expect(await ask("/api/secrets", post(body))).toBe(400);
    expect(await ask("/api/secrets", post(secret("A", { value: value.repeat(5_000) })))).toBe(413);
    const reference = { type: "used", payload: { authorization: "Bearer {{secret:A}}" } };
    expect(await ask("/me", post(reference))).toBe(200);
    for (const target of ["/api/secrets", "/metrics", "/readyz", "/api/state/me", "/me?format=json", "/api/streams"]) {
      expect(await ask(target)).toBe(200);
    }
    const { stdout, stderr } = await server.stop("SIGTERM");
    expect(stderr).toContain("refused");
    for (const file of readdirSync(directory)) seen += readFileSync(path.join(directory, file), "latin1");
    for (const text of [seen, stdout, stderr]) expect(text).not.toMatch(/hunter2/);
  });

  test("a secret that cannot be written is a fault whose log says the file and not the value", async () => {
    const { directory, remove } = temporaryDirectory();
    onTestFinished(remove);
    const server = await startServer({ data: directory });
    mkdirSync(path.join(directory, "secrets.json.new"));
    const response = await fetch(`${server.url}/api/secrets`, post(secret("A")) as RequestInit);
    const text = await response.clone().text();
    await refused(response, "unavailable");
    const { stderr } = await server.stop("SIGTERM");
    expect(stderr).toContain("secrets.json.new");
    expect(text + stderr).not.toMatch(/hunter2/);
  });

  test("secrets outlive it", async () => {
    const { directory, remove } = temporaryDirectory();
    onTestFinished(remove);
    const first = await startServer({ data: directory });
    await fetch(`${first.url}/api/secrets`, post(secret("A")) as RequestInit);
    await first.kill();
    const second = await startServer({ data: directory });
    expect(await (await fetch(`${second.url}/api/secrets`)).json()).toMatchObject({ secrets: [{ name: "A" }] });
    await second.stop("SIGTERM");
  });
});

describeEach("a stream beside them", (server) => {
  test("is not in the way: /secrets is a stream, /api/secrets is none", async () => {
    const [event] = await append(server(), "/secrets", { type: "a" });
    expect(event?.streamPath).toBe("/secrets");
    expect(await readJson(server(), "/api/secrets")).toEqual({ secrets: [] });
  });
});
