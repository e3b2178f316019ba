/**
 * `/api/secrets`: values come in and never go out. A refusal repeats nothing of a body but a host, because anything
 * else may be the value, or hold it.
 */
import type { Secrets } from "@millrace/engine";
import type { SecretInput } from "@millrace/protocol";
import { StreamError, secretNamePattern } from "@millrace/protocol";
import { type Incoming, type Outgoing, toJson } from "./exchange.ts";
import { allow } from "./parameters.ts";
import { invalidRequest, notAllowed } from "./refusals.ts";
import { projectOf, queryOf } from "./target.ts";

const keys = ["name", "value", "hosts", "description"];
const decoder = new TextDecoder("utf-8", { fatal: true });

/** All of a project's: GET lists them, POST sets one. */
export async function secretsRoute(secrets: Secrets, incoming: Incoming, bodyBytesMax: number): Promise<Outgoing> {
  const allowed = "GET, HEAD, POST, OPTIONS";
  if (incoming.method === "OPTIONS") return { status: 204, headers: { allow: allowed }, body: "" };
  const project = projectAsked(incoming);
  switch (incoming.method) {
    case "GET":
    case "HEAD":
      return toJson({ secrets: await secrets.list(project) });
    case "POST":
      return toJson({ secret: await secrets.set(project, parseSecret(await incoming.body(bodyBytesMax))) });
    default:
      throw notAllowed(incoming.method, allowed);
  }
}

/** One of them: it can be removed. */
export async function namedSecretRoute(secrets: Secrets, incoming: Incoming, rawName: string): Promise<Outgoing> {
  const allowed = "DELETE, OPTIONS";
  if (incoming.method === "OPTIONS") return { status: 204, headers: { allow: allowed }, body: "" };
  if (incoming.method !== "DELETE") throw notAllowed(incoming.method, allowed);
  const project = projectAsked(incoming);
  const name = parseName(rawName);
  if (await secrets.remove(project, name)) return toJson({ deleted: true, name });
  throw new StreamError("not_found", `There is no secret "${name}" in project ${project}.`, {});
}

function projectAsked(incoming: Incoming): string {
  const query = queryOf(incoming.url);
  allow(query, []);
  return projectOf(incoming, query);
}

function parseName(raw: string): string {
  try {
    const name = decodeURIComponent(raw);
    if (secretNamePattern.test(name)) return name;
  } catch {
    // no name either
  }
  throw invalidRequest("The name of a secret is 1 to 255 characters of A-Z a-z 0-9 . _ -.", "name");
}

/** The shape alone; what name, value and hosts have to be is known to whoever keeps them. */
function parseSecret(bytes: Uint8Array): SecretInput {
  const body = parseObject(bytes);
  if (Object.keys(body).some((key) => !keys.includes(key))) {
    throw invalidRequest("A secret has name, value, hosts and description, and no other keys.");
  }
  const { name, value, hosts, description } = body;
  for (const [field, text] of Object.entries({ name, value })) {
    if (typeof text !== "string") throw invalidRequest(`${field} is a string; got ${kindOf(text)}.`, field);
  }
  if (!Array.isArray(hosts) || !hosts.every((host) => typeof host === "string")) {
    throw invalidRequest('hosts is a list of hosts, such as ["api.example.com"].', "hosts");
  }
  if (description !== undefined && typeof description !== "string") {
    throw invalidRequest(`description is a string; got ${kindOf(description)}.`, "description");
  }
  const secret = { name: name as string, value: value as string, hosts };
  return description === undefined ? secret : { ...secret, description };
}

/** The parser's own message would quote the body. */
function parseObject(bytes: Uint8Array): Record<string, unknown> {
  let body: unknown;
  try {
    body = JSON.parse(decoder.decode(bytes));
  } catch {
    throw invalidRequest('The body is no JSON. Expected {"name": "...", "value": "...", "hosts": ["..."]}.');
  }
  if (typeof body === "object" && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
  throw invalidRequest(`A secret is a JSON object; got ${kindOf(body)}.`);
}

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
