/**
 * A lane: streams that only one sender writes to, so that the model knows at every moment what is in them. Lanes run
 * beside each other in shared projects, commits and ancestors.
 */
import { type StreamEvent, sortedJson } from "@millrace/protocol";
import type { SeededRandom } from "@millrace/testing";
import { builtin, type ModelEvent, ModelStream } from "../../packages/millrace/test/model.ts";
import { type Answer, expectAnswer, json } from "./answers.ts";
import { invalidType } from "./drafts.ts";
import type { WireRequest } from "./wire-request.ts";

export interface Leaf {
  path: string;
  model: ModelStream;
  /** Tokens of the circuit breaker that this life may have used up. */
  spent: number;
}

export interface Lane {
  project: string;
  /** An ancestor of all its leaves, which never dies. */
  root: string;
  /** Below the root, and above some leaves; deleted with its children now and then. */
  groups: readonly string[];
  leaves: readonly Leaf[];
  random: SeededRandom;
  port: number;
  /** The heads at which lives ended, as answers to deletions said. */
  ended: Map<string, number[]>;
}

/** A request, and what its answer has to be. The model is already where the request leads. */
export interface Modelled {
  request: WireRequest;
  check(answer: Answer): void;
}

export function createLane(number: number, random: SeededRandom, port: number): Lane {
  const root = `/lane-${number}`;
  const groups = [`${root}/group-1`, `${root}/~group@2:+=.x`];
  const paths = [
    ...groups.flatMap((group) => [`${group}/a`, `${group}/b`, `${group}/${"n".repeat(255)}`]),
    `${root}/c`,
    `${root}/${"deep/".repeat(8)}d`,
  ];
  const leaves = paths.map((path): Leaf => ({ path, model: new ModelStream(), spent: 0 }));
  return { project: `lanes-${number % 3}`, root, groups, leaves, random, port, ended: new Map() };
}

/** Method, path, project and host, each in one of the forms in which it may come. */
export function address(lane: Lane, path: string, method: string, query: [string, string][] = []): WireRequest {
  const { random, project, port } = lane;
  const headers: [string, string][] = [
    ["Host", random.pick(["localhost", `127.0.0.1:${port}`, "LOCALHOST:1", "[::1]:8080", "10.0.0.1"])],
  ];
  const chance = random.integer(4);
  if (chance === 0) headers.push(["x-iterate-project", project]);
  else if (chance === 1) query = [...query, ["project", project]];
  else headers.push(["X-Project-Slug", project]);
  if (chance === 2) query = [...query, ["project", "of-no-meaning"]];
  if (random.integer(6) === 0) headers.push(["Origin", `http://${headers[0]?.[1]}`]);
  const search = query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&");
  const target = spelled(lane, path, method === "DELETE") + (search === "" ? "" : `?${search}`);
  const prefix = random.integer(30) === 0 ? `http://localhost:${port}` : "";
  return { method, target: prefix + target, headers };
}

function spelled({ random }: Lane, path: string, apiOnly: boolean): string {
  const below = path.slice(1);
  const encodedLetter = below.replace("n", "%6e").replace("/c", "/%63");
  const forms = [path, `${path}/`, `/${encodedLetter}`, below.replaceAll("/", "%2F").replace(/^/, "/")];
  const api = [below, `${below}/`, below.replaceAll("/", "%2F"), `%2f${below.replaceAll("/", "%2f")}`, encodedLetter];
  return apiOnly || random.integer(2) === 0 ? `/api/streams/${random.pick(api)}` : random.pick(forms);
}

/** Compared as JSON with sorted keys; what only the server can know is masked. */
export function expectEvents(found: readonly StreamEvent[], expected: readonly ModelEvent[], path: string): void {
  for (let i = 0; i < Math.max(found.length, expected.length); i++) {
    const [is, shall] = [found[i], expected[i]].map((event) => (event === undefined ? "nothing" : sortedJson(event)));
    const shown = found[i] === undefined ? is : sortedJson(masked(found[i] as StreamEvent, path));
    if (shown !== shall) throw new Error(`event ${i} of ${path} is\n${shown}\ninstead of\n${shall}`);
  }
}

function masked({ streamPath, createdAt, ...event }: StreamEvent, path: string): ModelEvent {
  if (streamPath !== path) throw new Error(`an event of ${path} says that it is of ${streamPath}`);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(createdAt)) throw new Error(`${createdAt} is no time`);
  if (event.type === builtin("initialized")) return { ...event, payload: "masked" };
  if (event.type !== invalidType) return event;
  const payload = event.payload as { error: unknown };
  if (typeof payload.error !== "string" || payload.error === "") throw new Error("an invalid event without a reason");
  return { ...event, payload: { ...payload, error: "masked" } };
}

export interface Refusal {
  status: number;
  code: string;
  element?: number;
}

export function expectRefusal(answer: Answer, refusal: Refusal, method = "POST"): void {
  expectAnswer(answer, method);
  const { status, code, element } = (method === "HEAD" ? refusal : json(answer.body)) as Refusal;
  if (answer.status === refusal.status && code === refusal.code && element === refusal.element) return;
  throw new Error(`expected ${JSON.stringify(refusal)}, got ${JSON.stringify({ status, code, element })}`);
}

export function expectStatus(answer: Answer, status: number): void {
  if (answer.status !== status) throw new Error(`expected ${status}, got ${answer.status}: ${answer.body}`);
}
