/** The OpenAPI document: a good one, and true. What it lists is what the server accepts and answers. */
import { contracts, errorStatus, type JsonObject } from "@millrace/protocol";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { beforeAll, describe, expect, test } from "vitest";
import { append, builtin, freshPath, post, readJson, refused } from "../http/calls.ts";
import { describeEach, type TestServer } from "../http/servers.ts";

interface Documented {
  name?: string;
  in?: string;
  schema?: { type?: string; items?: { examples?: unknown[] }; examples?: unknown[]; enum?: unknown[] };
  $ref?: string;
}

interface Call {
  operationId: string;
  parameters: Documented[];
  responses: Record<string, { content: Record<string, unknown> }>;
  requestBody?: { content: Record<string, { examples: Record<string, { value: unknown }> }> };
}

interface OpenApi {
  paths: Record<string, Record<string, Call>>;
  components: { schemas: Record<string, JsonObject>; securitySchemes: JsonObject };
}

let document: OpenApi;
let ajv: Ajv2020;

/** A schema of the document by its name. */
function schemaNamed(name: string): ValidateFunction {
  return ajv.compile({ $ref: `openapi#/components/schemas/${name}` });
}

function expectValid(value: unknown, name: string): void {
  const validate = schemaNamed(name);
  expect(validate(value), `${name}: ${ajv.errorsText(validate.errors)}`).toBe(true);
}

function queryOf(call: Call | undefined): Documented[] {
  return (call?.parameters ?? []).filter((parameter) => parameter.in === "query");
}

const cursor = { offset: 1, epoch: "1", runtimeId: "one", replaces: null };

function putCursor(server: TestServer, path: string, more: object = {}) {
  const body = JSON.stringify({ ...cursor, ...more });
  return readJson(server, `/api/cursors/greeter${path}`, { method: "PUT", body });
}

async function prepare(server: TestServer): Promise<void> {
  document = await readJson(server, "/openapi.json");
  ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document as unknown as JsonObject, "openapi");
}

describeEach("the OpenAPI document", (server) => {
  beforeAll(() => prepare(server()));

  test("is valid OpenAPI 3.1, at both of its addresses", async () => {
    const validator = new Validator();
    expect(await validator.validate(structuredClone(document) as never)).toEqual({ valid: true });
    expect(validator.version).toBe("3.1");
    expect(await readJson(server(), "/api/openapi.json")).toEqual(document);
    const ids = Object.values(document.paths).flatMap((item) => Object.values(item).map((call) => call.operationId));
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("lists exactly the read parameters that are accepted", async () => {
    const documented = queryOf(document.paths["/api/streams/{path}"]?.get).map(({ name }) => name);
    const refusal = await refused(await server().send("/api/streams/a?nonsense=1"), "invalid_request");
    expect(/knows (.*)\.$/.exec(refusal.detail)?.[1]?.split(", ")).toEqual(documented);
    expect(document.components.securitySchemes).toMatchObject({ token: { in: "query", name: "token" } });
  });

  test("has only parameters that are accepted, with examples that are", async () => {
    const path = freshPath("parameters");
    await append(server(), path, { type: "a" });
    await putCursor(server(), path);
    for (const [template, item] of Object.entries(document.paths)) {
      for (const parameter of queryOf(item.get)) {
        const schema = parameter.schema?.items ?? parameter.schema;
        const value = schema?.examples?.[0] ?? "";
        const beside = parameter.name === "at" ? "&processor=pause" : "";
        const target = `${template.replace("/{path}", path).replace("{slug}", "greeter")}?${parameter.name}=${encodeURIComponent(String(value))}${beside}`;
        expect((await server().send(target)).status, target).toBe(200);
      }
      const unknown = await server().send(
        `${template.replace("/{path}", path).replace("{slug}", "greeter").replace("{name}", "paused")}?nonsense=1`,
        { method: item.get === undefined ? "DELETE" : "GET" },
      );
      expect(unknown.status, template).toBe(["/healthz", "/readyz", "/metrics"].includes(template) ? 200 : 400);
    }
  });

  test("has only calls that answer, in a content type that it names", async () => {
    const path = freshPath("answers");
    const secret = { name: "A", value: "v", hosts: ["api.example.com"] };
    await append(server(), path, { type: "a" });
    await putCursor(server(), path);
    for (const [template, item] of Object.entries(document.paths)) {
      for (const [method, call] of Object.entries(item)) {
        const target = template
          .replace("{path}", encodeURIComponent(path.slice(1)))
          .replace("{slug}", "greeter")
          .replace("{name}", "subscription%2Fremoved")
          .replace("{secret}", secret.name);
        const sent = { setSecret: secret, putCursor: { ...cursor, offset: 2, replaces: 1 } }[call.operationId] ?? {
          type: "a",
        };
        const body = method === "post" || method === "put" ? { body: JSON.stringify(sent) } : {};
        const response = await server().send(target, { method: method.toUpperCase(), ...body });
        expect(response.status, `${method} ${target}`).toBe(200);
        const type = response.headers.get("content-type")?.split(";")[0] as string;
        expect(Object.keys(call.responses["200"]?.content ?? {}), `${method} ${target}`).toContain(type);
        if (method === "delete") await append(server(), path, { type: "a" });
        if (call.operationId === "delete") await putCursor(server(), path);
      }
    }
  });

  test("knows every code, with the fields that it carries", async () => {
    const path = freshPath("codes");
    const url = `/api/streams${path}`;
    const headers = { host: "evil.example" };
    await append(server(), path, { type: "a", idempotencyKey: "k" });
    for (const code of Object.keys(errorStatus))
      expect(document.components.schemas).toHaveProperty([`problem.${code}`]);
    const answers = [
      await server().send(`${url}?nonsense=1`),
      await server().send(url, { headers }),
      await server().send(url, { headers: { origin: "https://evil.example" } }),
      await server().send("/api/state/nobody-there"),
      await server().send(url, { method: "PATCH" }),
      await post(server(), path, '{"type":"b","idempotencyKey":"k"}'),
      await server().send(`${url}?afterOffset=9`),
      await post(server(), path, `[${Array(1_001).fill('{"type":"a"}')}]`),
      await server().send(`/api/cursors/greeter${path}`, {
        method: "PUT",
        body: JSON.stringify({ ...cursor, replaces: 7 }),
      }),
    ];
    await append(server(), path, { type: builtin("paused") });
    answers.push(await post(server(), path, '{"type":"b"}'));
    for (const answer of answers) {
      const problem = await answer.json();
      expectValid(problem, `problem.${problem.code}`);
    }
    const wrong = {
      type: "urn:millrace:error:not_found",
      title: "Not found",
      status: 410,
      code: "not_found",
      detail: "",
    };
    expect(schemaNamed("problem.not_found")(wrong)).toBe(false);
  });

  test("describes what is answered", async () => {
    const path = freshPath("described");
    const one = await (await post(server(), path, '{"type":"a","metadata":{"a":1},"idempotencyKey":"k"}')).json();
    expectValid(one, "Appended");
    expectValid(await (await post(server(), path, '[{"type":"a"},{}]')).json(), "AppendedBatch");
    expectValid(await readJson(server(), `${path}?format=json&limit=2`), "Page");
    expectValid(await readJson(server(), `/api/state${path}?processor=pause`), "ProcessorState");
    expectValid(await readJson(server(), "/api/streams"), "StreamList");
    expectValid(await readJson(server(), "/api/children/?limit=1"), "ChildList");
    expectValid(await readJson(server(), "/api/projects"), "ProjectList");
    await append(server(), path, { type: builtin("paused"), payload: { reason: "lunch", cause: { kind: "person" } } });
    expectValid(await putCursor(server(), path, { interrupted: null, progress: { a: 1 } }), "CursorAnswer");
    expectValid(await readJson(server(), `/api/cursors/greeter${path}`), "CursorAnswer");
    expectValid(cursor, "CursorInput");
    for (const more of [{ offset: -1 }, { epoch: "" }, { runtimeId: "a b" }, { progress: [] }, { nonsense: 1 }]) {
      expect(schemaNamed("CursorInput")({ ...cursor, ...more })).toBe(false);
    }
    expectValid(await readJson(server(), `/api/state${path}`), "StreamState");
    expectValid(await readJson(server(), `/api/streams${path}`, { method: "DELETE" }), "Deleted");
    expectValid(await readJson(server(), "/events/stream/paused"), "Contract");
    expectValid(await readJson(server(), "/api/docs/events"), "ContractList");
    const secret = { name: "A", value: "v", hosts: ["*.example.com"], description: "d" };
    expectValid(secret, "SecretInput");
    const body = JSON.stringify(secret);
    expectValid(await readJson(server(), "/api/secrets", { method: "POST", body }), "SecretSet");
    expectValid(await readJson(server(), "/api/secrets"), "SecretList");
    expectValid(await readJson(server(), "/api/secrets/A", { method: "DELETE" }), "SecretRemoved");
    expect(schemaNamed("SecretInput")({ ...secret, hosts: ["https://a.example/path"] })).toBe(false);
    expect(schemaNamed("SecretInput")({ ...secret, more: 1 })).toBe(false);
    expectValid(await readJson(server(), "/healthz"), "Healthy");
    expectValid(await readJson(server(), "/readyz"), "Ready");
    expect(schemaNamed("Appended")({ event: { type: "a" } })).toBe(false);
  });

  test("gives examples of an append that do what they say", async () => {
    const examples = document.paths["/api/streams/{path}"]?.post?.requestBody?.content["application/json"]?.examples;
    for (const [name, { value }] of Object.entries(examples ?? {})) {
      const stored = await append(server(), freshPath("example"), value);
      for (const { type } of stored)
        expect(type === builtin("invalid-event-appended"), name).toBe(
          name === "invalid" || name === "invalid-event-appended",
        );
    }
  });

  describe("built-in events", () => {
    test.each(contracts.map((contract) => [contract.name, contract] as const))("%s", (name, { type, example }) => {
      const schema = `event.${name.replaceAll("/", ".")}`;
      expectValid({ type, payload: example }, schema);
      expect(schemaNamed(schema)({ type: "other", payload: example })).toBe(false);
      expect(schemaNamed(schema)({ type, payload: { ...(example as object), nonsense: 1 } })).toBe(false);
    });
  });

  test("the pages of the documents and their files", async () => {
    for (const target of ["/api/docs", "/apidocs"]) {
      const response = await server().send(target);
      expect(response.headers.get("content-security-policy")).toContain("script-src 'self'");
      const page = await response.text();
      const links = [...page.matchAll(/(?:src|href)="(\/[^"]*)"/g)].map(([, link]) => link as string);
      expect(links.length).toBe(5);
      for (const link of links) expect((await server().send(link)).status, link).toBe(200);
      expect(page).not.toMatch(/https?:/);
    }
    for (const target of [
      "/api/docs/",
      "/api/docs/index.html",
      "/api/docs/swagger-ui.js",
      "/api/docs/..%2Fpackage.json",
    ]) {
      await refused(await server().send(target), "not_found");
    }
    const start = await (await server().send("/api/docs/start.js")).text();
    expect(start).toContain("validatorUrl: null");
  });
});
