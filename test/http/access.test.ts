/** Who may ask at all: hosts, origins, the bearer token. */
import { describe, expect, test } from "vitest";
import { append, form, json, readAll, readJson, refused } from "./calls.ts";
import { openLive } from "./live-reader.ts";
import { describeEach } from "./servers.ts";

const token = "correct-horse-battery-staple";
const body = '{"type":"a"}';

describeEach("Host", (server) => {
  test.each([
    "localhost",
    "localhost:4040",
    "LocalHost",
    "127.0.0.1",
    "127.0.0.1:80",
    "10.1.2.3:4040",
    "[::1]",
    "[::1]:4040",
    "[2001:db8::1]:1",
  ])("%s may ask", async (host) => {
    for (const target of ["/healthz", "/x?format=json", "/api/streams"]) {
      expect((await server().send(target, { headers: { host } })).status).toBe(200);
    }
  });

  test.each([
    "evil.example",
    "evil.example:4040",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "localhost.",
    "notlocalhost",
  ])("%s may not, and the refusal names the flag", async (host) => {
    for (const [method, target] of [
      ["GET", "/x"],
      ["POST", "/x"],
      ["HEAD", "/x"],
      ["DELETE", "/api/streams/x"],
      ["OPTIONS", "/x"],
      ["GET", "/healthz"],
      ["GET", "/api/state/x"],
      ["GET", "/api/nothing"],
    ]) {
      const response = await server().send(target as string, { method: method as string, headers: { host } });
      expect(response.status, `${method} ${target}`).toBe(403);
      if (method === "HEAD") continue;
      const problem = await refused(response, "forbidden_host");
      const name = host.replace(/:\d+$/, "");
      expect(problem.host).toBe(name);
      expect(problem.detail).toContain(`--allow-host ${name}`);
    }
    // A refused host must not be remembered as a good one.
    await refused(await server().send("/x", { headers: { host } }), "forbidden_host");
  });
});

describeEach(
  "Host with further names",
  (server) => {
    test("named hosts may ask, with any port and in any case", async () => {
      for (const host of ["streams.example.org", "streams.example.org:8443", "Streams.Example.ORG", "localhost"]) {
        expect((await server().send("/healthz", { headers: { host } })).status).toBe(200);
      }
      await refused(await server().send("/healthz", { headers: { host: "example.org" } }), "forbidden_host");
    });
  },
  { access: { hosts: ["streams.example.org"] } },
);

describeEach("Origin", (server) => {
  const from = (origin: string, more: Record<string, string> = {}) => ({ origin, ...more });

  test.each(["https://evil.example", "null", "http://localhost.evil.example", "http://localhost:1234", "file://", ""])(
    "%j is foreign: it may neither write nor read",
    async (origin) => {
      for (const contentType of [json, form, "text/plain", "multipart/form-data; boundary=b"]) {
        const headers = from(origin, { "content-type": contentType });
        const response = await server().send("/origin", { method: "POST", body, headers });
        expect(response.headers.get("access-control-allow-origin")).toBe(null);
        const problem = await refused(response, "forbidden_origin");
        expect(problem.origin).toBe(origin);
        expect(problem.detail).toContain("--cors-origin");
        expect(problem.detail).toContain("--allow-forms-from");
      }
      for (const [method, target] of [
        ["GET", "/origin"],
        ["DELETE", "/api/streams/origin"],
        ["OPTIONS", "/origin"],
        ["GET", "/api/streams"],
      ]) {
        const response = await server().send(target as string, { method: method as string, headers: from(origin) });
        await refused(response, "forbidden_origin");
      }
      expect(await readAll(server(), "/origin")).toEqual([]);
    },
  );

  test("the server's own pages, and whoever sends none, may", async () => {
    for (const headers of [
      {},
      from("http://localhost"),
      from("https://localhost"),
      from("http://127.0.0.1:4040", { host: "127.0.0.1:4040" }),
    ]) {
      const response = await server().send("/own", { method: "POST", body, headers });
      expect(response.status).toBe(200);
      expect(response.headers.get("access-control-allow-origin")).toBe(null);
    }
  });
});

describeEach(
  "Origin with --cors-origin and --allow-forms-from",
  (server) => {
    const page = "https://app.example.org";
    const formPage = "https://forms.example.org";

    test("a named page reads and writes, and is told so", async () => {
      for (const [method, target, status] of [
        ["POST", "/cors", 200],
        ["GET", "/cors", 200],
        ["GET", "/cors?nonsense=1", 400],
        ["GET", "/api/state/cors", 200],
        ["GET", "/api/nothing", 404],
        ["DELETE", "/api/streams/cors", 200],
      ] as const) {
        const sending = { method, headers: { origin: page }, ...(method === "POST" ? { body } : {}) };
        const response = await server().send(target, sending);
        expect(response.status, `${method} ${target}`).toBe(status);
        expect(response.headers.get("access-control-allow-origin")).toBe(page);
        expect(response.headers.get("access-control-expose-headers")).toContain("idempotent-replay");
        expect(response.headers.get("access-control-expose-headers")).toContain("millrace-stream-id");
        expect(response.headers.get("vary")).toBe("origin");
        expect(response.headers.get("access-control-allow-credentials")).toBe(null);
      }
      const reader = await openLive(server(), "/cors?live=true", { origin: page });
      expect(reader.response.headers.get("access-control-allow-origin")).toBe(page);
      reader.close();
    });

    test.each(["/cors", "/api/streams/cors", "/api/streams", "/api/state/cors"])(
      "a preflight of %s",
      async (target) => {
        const headers = {
          origin: page,
          "access-control-request-method": "POST",
          "access-control-request-headers": "content-type,idempotency-key,x-project-slug",
        };
        const response = await server().send(target, { method: "OPTIONS", headers });
        expect(response.status).toBe(204);
        expect(response.headers.get("access-control-allow-origin")).toBe(page);
        expect(response.headers.get("access-control-allow-methods")).toContain("POST");
        expect(response.headers.get("access-control-allow-headers")).toBe(
          "content-type,idempotency-key,x-project-slug",
        );
        expect(await response.text()).toBe("");
        const foreign = await server().send(target, { method: "OPTIONS", headers: { ...headers, origin: formPage } });
        await refused(foreign, "forbidden_origin");
      },
    );

    test("a named page may send forms, and nothing else", async () => {
      const post = (contentType: string) =>
        server().send("/forms", {
          method: "POST",
          body: "a=1",
          headers: { origin: formPage, "content-type": contentType },
        });
      for (const contentType of [form, `${form}; charset=utf-8`, "multipart/form-data; boundary=b", "text/plain"]) {
        const response = await post(contentType);
        expect(response.status).toBe(200);
        expect(response.headers.get("access-control-allow-origin")).toBe(null);
      }
      for (const contentType of [json, "application/x-ndjson", "application/octet-stream"]) {
        await refused(await post(contentType), "forbidden_origin");
      }
      await refused(await server().send("/forms", { headers: { origin: formPage } }), "forbidden_origin");
      const wrapped = await server().send("/forms?type=signup", {
        method: "POST",
        body: "email=a%40b.c",
        headers: { origin: formPage, "content-type": form },
      });
      expect((await wrapped.json()).event).toMatchObject({ type: "signup", payload: { email: "a@b.c" } });
    });

    test("other pages still may not", async () => {
      for (const origin of [
        "https://app.example.org.evil.example",
        "http://app.example.org",
        "https://app.example.org:8443",
      ]) {
        await refused(await server().send("/cors", { headers: { origin } }), "forbidden_origin");
      }
    });
  },
  { access: { corsOrigins: ["https://app.example.org"], formOrigins: ["https://forms.example.org"] } },
);

describeEach(
  "the bearer token",
  (server) => {
    const bearer = { authorization: `Bearer ${token}` };

    test("guards everything but health", async () => {
      for (const [method, target] of [
        ["POST", "/x"],
        ["GET", "/x"],
        ["GET", "/x?live=true"],
        ["GET", "/"],
        ["GET", "/api/streams"],
        ["GET", "/api/state/x"],
        ["GET", "/api/children/x"],
        ["GET", "/api/projects"],
        ["DELETE", "/api/streams/x"],
        ["PUT", "/x"],
        ["GET", "/api/nothing"],
        ["GET", "/events/stream/paused"],
        ["GET", "/healthz/x"],
        ["GET", "/%68ealthz"],
      ]) {
        const response = await server().send(target as string, { method: method as string });
        expect(response.headers.get("www-authenticate"), `${method} ${target}`).toBe("Bearer");
        expect((await refused(response, "unauthorized")).detail).toContain("Authorization: Bearer");
      }
      expect((await server().send("/x", { method: "HEAD" })).status).toBe(401);
      for (const target of ["/healthz", "/readyz", "/healthz?x=1"]) await readJson(server(), target);
    });

    test("is a header, or a parameter where headers cannot be set", async () => {
      await append(server(), "/x", { type: "a" }, bearer);
      for (const [target, headers] of [
        ["/x?format=json", bearer],
        ["/x?format=json", { authorization: `bearer   ${token}` }],
        [`/x?format=json&token=${token}`, {}],
        [`/x?token=${token}&format=json`, {}],
        [`/api/streams?token=${token}`, {}],
      ] as const) {
        await readJson(server(), target, { headers });
      }
      const reader = await openLive(server(), `/x?live=true&token=${token}`);
      expect((await reader.event()).offset).toBe(1);
      reader.close();
    });

    test.each<Record<string, string>>([
      { authorization: "Bearer" },
      { authorization: "Bearer wrong" },
      { authorization: token },
      { authorization: `Basic ${token}` },
      { authorization: `Bearer ${token}x` },
      { authorization: `Bearer ${token.slice(0, -1)}` },
      { authorization: `Bearer ${token.toUpperCase()}` },
      { cookie: `token=${token}` },
    ])("%j is not enough", async (headers) => {
      await refused(await server().send("/x", { headers }), "unauthorized");
    });

    test("a wrong header is not saved by anything else", async () => {
      await refused(await server().send("/x?token=wrong"), "unauthorized");
      await refused(await server().send("/x?Token=correct"), "unauthorized");
    });

    test("is never stored", async () => {
      for (const [target, headers] of [
        [`/stored?type=hook&token=${token}&raw=true`, { "content-type": "text/plain" }],
        ["/stored?type=hook", bearer],
        [`/stored?token=${token}`, { "content-type": "text/plain" }],
        [`/stored?type=paused%20${""}&token=${token}`, bearer],
      ] as const) {
        const response = await server().send(target, { method: "POST", body: "the body", headers });
        expect(response.status).toBe(200);
        expect(await response.text()).not.toContain(token);
      }
      const stored = await server().send("/stored?format=ndjson", { headers: bearer });
      expect(await stored.text()).not.toContain(token);
    });
  },
  { access: { token } },
);

describe("the bearer token and CORS", () => {
  describeEach(
    "together",
    (server) => {
      test("a preflight carries no token; the request behind it does, and its refusal can be read", async () => {
        const origin = "https://app.example.org";
        const preflight = await server().send("/x", { method: "OPTIONS", headers: { origin } });
        expect(preflight.status).toBe(204);
        const response = await server().send("/x", { headers: { origin } });
        expect(response.headers.get("access-control-allow-origin")).toBe(origin);
        await refused(response, "unauthorized");
      });
    },
    { access: { token, corsOrigins: ["https://app.example.org"] } },
  );
});
