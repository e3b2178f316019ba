/** A secret goes to its hosts, and the code that sends it never sees it: not by asking, and not by looking around. */
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type HostileWorld, startHostileWorld } from "./hostile-world.ts";

const value = "sk-confidential-1234567890";
const fixedValue = "fixed-confidential-0987654321";

let world: HostileWorld;
let model: Server;
let elsewhere: Server;
let modelUrl: string;
let elsewhereUrl: string;
let heard: IncomingHttpHeaders[];
let strayed: IncomingHttpHeaders[];

beforeAll(async () => {
  heard = [];
  strayed = [];
  elsewhere = await listen((request, response) => {
    strayed.push(request.headers);
    response.end("elsewhere");
  });
  elsewhereUrl = urlOf(elsewhere);
  model = await listen((request, response) => {
    heard.push(request.headers);
    if (request.url === "/away") response.writeHead(307, { location: `${elsewhereUrl}/landed` });
    response.end("fine");
  });
  modelUrl = urlOf(model);
  world = await startHostileWorld({ allowPrivateDestinations: true });
  await setSecret("public", "openai", value, modelUrl);
  await setSecret("public", "fixed", fixedValue, modelUrl);
  await setSecret("other", "theirs", value, modelUrl);
});
afterAll(async () => {
  await world.close();
  model.close();
  elsewhere.close();
});

async function listen(handle: Parameters<typeof createServer>[1] & object): Promise<Server> {
  const server = createServer(handle as Parameters<typeof createServer>[1]);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

async function setSecret(project: string, name: string, text: string, host: string): Promise<void> {
  const response = await fetch(`${world.url}/api/secrets`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-project-slug": project },
    body: JSON.stringify({ name, value: text, hosts: [host] }),
  });
  expect(response.status).toBe(200);
}

let trials = 0;
/** Runs this in a hook, and gives all that its stream holds afterwards. */
async function tryInside(trial: string, deployment: object = {}): Promise<{ outcome: unknown; all: string }> {
  const at = `/trial-${++trials}`;
  const script = `const original = globalThis.fetch; const seen = [];
    const note = (request, init) => { seen.push(JSON.stringify([...new Request(request, init).headers])); return original(request, init); };
    export default { async afterAppend({ event, append, env }) {
      if (event.type !== "try") return;
      const { model, elsewhere } = event.payload;
      const outcome = await (async () => { ${trial} })().catch((error) => String(error?.stack ?? error));
      await append({ type: "outcome", payload: { outcome, seen, env: { ...env, ...process.env } } });
    } };`;
  await world.deploy(at, { script, ...deployment });
  await world.append(at, "try", { model: modelUrl, elsewhere: elsewhereUrl });
  const { payload } = await world.until(at, ({ type }) => type === "outcome");
  return { outcome: (payload as { outcome: unknown }).outcome, all: JSON.stringify(await world.read(at)) };
}

const authorization = '{ headers: { authorization: "Bearer {{secret:openai}}" } }';

test("the host that it is for hears the value, and the code the placeholder alone", async () => {
  const { outcome, all } = await tryInside(`globalThis.fetch = note;
    const request = new Request(model, ${authorization});
    const answer = await note(request);
    return [await answer.text(), request.headers.get("authorization")];`);

  expect(outcome).toEqual(["fine", "Bearer {{secret:openai}}"]);
  expect(heard.at(-1)?.authorization).toBe(`Bearer ${value}`);
  expect(all).not.toContain(value);
});

test("the talk's spelling in a variable is a placeholder, too", async () => {
  const env = { OPENAI_API_KEY: "getIterateSecret({secretKey: 'openai'})" };
  const { all } = await tryInside(
    "return fetch(model, { headers: { authorization: 'Bearer ' + env.OPENAI_API_KEY } }).then((a) => a.text());",
    { env },
  );

  expect(heard.at(-1)?.authorization).toBe(`Bearer ${value}`);
  expect(all).toContain("getIterateSecret");
  expect(all).not.toContain(value);
});

test("the header that the configuration gives all requests is added outside", async () => {
  const props = { secretHeaderName: "x-api-key", secretHeaderValue: "{{secret:fixed}}" };
  const outboundGateway = { entrypoint: "DynamicWorkerEgressGateway", props };
  const { all } = await tryInside(
    `globalThis.fetch = note; await note(model, { headers: { "X-API-Key": "forged" } }); await note(elsewhere); return seen;`,
    { outboundGateway },
  );

  expect(heard.at(-1)?.["x-api-key"]).toBe(fixedValue);
  expect(strayed.at(-1)?.["x-api-key"]).toBeUndefined();
  expect(all).not.toContain(fixedValue);
});

const nowhere: [what: string, trial: string][] = [
  ["another host", `return fetch(elsewhere, ${authorization}).then((a) => a.status);`],
  [
    "another host, after a redirect",
    `return fetch(model + "/away", { headers: { "x-api-key": "{{secret:openai}}" } }).then((a) => a.status);`,
  ],
  [
    "a host whose URL names that of the secret",
    `return fetch(elsewhere.replace("//", "//127.0.0.1@"), ${authorization}).then((a) => a.status);`,
  ],
  [
    "a secret of another project",
    'return fetch(model, { headers: { x: "{{secret:theirs}}" } }).then((a) => a.status);',
  ],
  ["a secret that is not there", 'return fetch(model, { headers: { x: "{{secret:none}}" } }).then((a) => a.status);'],
];
test.each(nowhere)("no value goes to %s, and the refusal is told without it", async (_, trial) => {
  const { outcome, all } = await tryInside(trial);

  if (typeof outcome === "number") expect(outcome).toBe(403);
  else expect(outcome).toMatch(/TypeError/);
  for (const headers of strayed) expect(JSON.stringify(headers)).not.toContain("confidential");
  expect(all).not.toContain(value);
});

test("what is no header stays as it is: a placeholder in a body or a URL says nothing", async () => {
  const bodies: string[] = [];
  model.once("request", (request) => request.on("data", (data) => bodies.push(String(data))));
  const { all } = await tryInside(
    'return fetch(model + "/?key={{secret:openai}}", { method: "POST", body: "{{secret:openai}}" }).then((a) => a.status);',
  );

  expect(bodies.join("")).toBe("{{secret:openai}}");
  expect(all).not.toContain(value);
});

test("neither the events of the log, nor the operator's faults, nor a state hold a value", async () => {
  const paths: string[] = [];
  for await (const { path } of world.client().streams()) paths.push(path);
  expect(paths.length).toBeGreaterThan(5);
  for (const path of paths) {
    const events = JSON.stringify(await world.read(path));
    expect(events).not.toContain(value);
    expect(events).not.toContain(fixedValue);
  }
  expect(world.faults.join("\n")).not.toContain("confidential");
});
