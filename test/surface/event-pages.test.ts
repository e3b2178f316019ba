/** A page for each built-in type at the type's own path, and the index of them. */
import { contracts, payloadSchema } from "@millrace/protocol";
import { describe, expect, test } from "vitest";
import { append, freshPath, json, post, readJson, refused, storedIn } from "../http/calls.ts";
import { describeEach, type TestServer } from "../http/servers.ts";

const accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async function pageAt(server: TestServer, target: string, headers: Record<string, string> = {}): Promise<string> {
  const response = await server.send(target, { headers: { accept, ...headers } });
  expect(response.status, target).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  expect(response.headers.get("referrer-policy")).toBe("no-referrer");
  expect(response.headers.get("vary")).toBe("accept");
  return response.text();
}

function unescaped(html: string): string {
  return html.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)));
}

describeEach("pages of built-in types", (server) => {
  describe.each(contracts.map((contract) => [contract.name, contract] as const))("%s", (name, contract) => {
    const { type, example, serverOnly, planned, payload } = contract;

    test("is a page for a browser", async () => {
      const page = await pageAt(server(), `/events/stream/${name}`);
      expect(await pageAt(server(), `/events/stream/${encodeURIComponent(name)}`)).toBe(page);
      expect(page).toContain(`<h1>${name}</h1>`);
      expect(page).not.toMatch(/<script|<img|<link|<iframe| on[a-z]+=/i);
      expect(page.includes("<strong>Planned.</strong>")).toBe(planned);
      const text = unescaped(page);
      expect(text).toContain(JSON.stringify({ type, payload: example }, null, 2));
      for (const field of Object.keys(payloadSchema(contract).properties ?? {})) {
        expect(text).toContain(`<code>${field}</code>`);
      }
      // Nothing but our own elements survives: what contracts say is text.
      const tags = new Set([...page.matchAll(/<\/?([a-z0-9]+)/g)].map(([, tag]) => tag));
      const known = "html meta title style h1 h2 p code strong table tr td th pre details summary ul li a".split(" ");
      expect([...tags].filter((tag) => !known.includes(tag as string))).toEqual([]);
    });

    test("gives a curl whose body can be sent as it stands", async () => {
      const text = unescaped(await pageAt(server(), `/events/stream/${name}`));
      const sent = /curl --json '(.*)' http:\/\/localhost/.exec(text)?.[1]?.replaceAll("'\\''", "'");
      expect(sent === undefined).toBe(serverOnly);
      if (sent === undefined) return;
      const [event] = await storedIn(await post(server(), freshPath("page"), sent, { contentType: json }));
      expect(event?.type).toBe(type);
    });

    test("is JSON for everybody else, with the schema that validates", async () => {
      const known = await readJson(server(), `/events/stream/${name}`);
      expect(known).toMatchObject({ type, planned, serverOnly, example: { type, payload: example } });
      expect(known.payload).toEqual(payloadSchema(contract));
      expect(payload.safeParse(known.example.payload).success).toBe(true);
    });
  });

  test("a deeper name or an unknown one is an ordinary stream", async () => {
    await append(server(), "/events/stream/nobody", { type: "a" });
    await append(server(), "/events/stream/paused/below", { type: "a" });
  });

  test("the index links each of them", async () => {
    const page = await pageAt(server(), "/api/docs/events");
    const { events } = await readJson(server(), "/api/docs/events");
    expect(events.map((event: { type: string }) => event.type)).toEqual(contracts.map(({ type }) => type));
    for (const { name } of contracts) expect(page).toContain(`<a href="/events/stream/${name}">${name}</a>`);
    for (const { path } of events) await readJson(server(), path);
  });

  test("an unknown parameter is refused; the project stands in the commands", async () => {
    await refused(await server().send("/events/stream/paused?x=1"), "invalid_request");
    await refused(await server().send("/api/docs/events?x=1"), "invalid_request");
    expect(await pageAt(server(), "/events/stream/paused?project=demo")).toContain("X-Project-Slug: demo");
  });
});

describeEach(
  "pages of a server with a token",
  (server) => {
    test("hand it on in their links and nowhere else, escaped", async () => {
      const target = `/events/stream/paused?token=${encodeURIComponent(token)}`;
      await refused(await server().send("/events/stream/paused", { headers: { accept } }), "unauthorized");
      const page = await pageAt(server(), target);
      expect(page).not.toContain("<b>");
      expect(page).toContain(`href="/api/docs/events?token=${encodeURIComponent(token).replaceAll("'", "&#39;")}"`);
      expect(unescaped(page)).toContain('-H "Authorization: Bearer $TOKEN"');
      const links = [...page.matchAll(/href="([^"]+)"/g)].map(([, href]) => unescaped(href as string));
      for (const link of links) expect((await server().send(link, { headers: { accept } })).status, link).toBe(200);
    });
  },
  { access: { token: `sixteen"'&<b>letters` } },
);

const token = `sixteen"'&<b>letters`;

describeEach(
  "pages for a page of another origin",
  (server) => {
    test("vary by both", async () => {
      const headers = { accept, origin: "https://app.example.org" };
      const response = await server().send("/events/stream/paused", { headers });
      expect(response.headers.get("vary")).toBe("accept, origin");
    });
  },
  { access: { corsOrigins: ["https://app.example.org"] } },
);
