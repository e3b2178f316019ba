/** Appends whose outcome the model knows: which events are stored, or why none is. */
import type { SeededRandom } from "@millrace/testing";
import type { ModelInput } from "../../packages/millrace/test/model.ts";
import { type Answer, eventsOf } from "./answers.ts";
import { type AppendBody, anyBody, single } from "./bodies.ts";
import { breakerOffDraft, keys } from "./drafts.ts";
import { address, expectEvents, expectRefusal, expectStatus, type Lane, type Leaf, type Modelled } from "./lane.ts";

const refusedWith = { idempotency_conflict: 409, offset_conflict: 412, stream_paused: 423 };
/** Its bucket holds 100: before that is used up, a life's breaker is switched off. */
const spendingMax = 60;

export function append(lane: Lane, leaf: Leaf): Modelled {
  const { random } = lane;
  const { model } = leaf;
  const overspent = leaf.spent > spendingMax;
  if (overspent) leaf.spent = Number.NEGATIVE_INFINITY;
  const body = overspent
    ? single(breakerOffDraft, random)
    : anyBody({ random, head: model.head, paused: model.paused });
  const query: [string, string][] = [];
  if (body.type !== undefined) query.push(["type", body.type]);
  if (random.integer(8) === 0) query.push(["a", "1"], ["a", "ü&"], ["b", ""]);
  if (random.integer(8) === 0) query.push(["raw", "true"]);
  const request = address(lane, leaf.path, "POST", query);
  if (body.contentType !== undefined) request.headers.push(["Content-Type", body.contentType]);
  const inputs = body.drafts.map(({ stored }): ModelInput => ({ ...stored }));
  if (!overspent) addKey(request.headers, inputs, body, random);
  addSource(request.headers, inputs, random);
  addSurroundings(request.headers, inputs, body, query, random);
  leaf.spent += inputs.length;
  return {
    request: { ...request, body: body.body, chunked: random.integer(4) === 0 },
    check: outcome(leaf, inputs, body),
  };
}

/** What the model says now is what the answer has to say. */
function outcome({ path, model }: Leaf, inputs: ModelInput[], { batch }: AppendBody): (answer: Answer) => void {
  const { head } = model;
  const expected = model.append(inputs);
  if ("code" in expected) {
    const status = refusedWith[expected.code as keyof typeof refusedWith];
    return (answer) => expectRefusal(answer, { ...expected, status });
  }
  const first = model.events[0]?.offset ?? 0;
  const events = expected.offsets.map((offset) => model.events[offset - first] as (typeof model.events)[number]);
  const isReplay = expected.offsets.every((offset) => offset <= head) && model.head === head;
  return (answer) => {
    expectStatus(answer, 200);
    expectEvents(eventsOf(answer.body) ?? [], events, path);
    if (answer.body.toString().startsWith('{"events"') !== batch) throw new Error("one event or a batch?");
    const said = answer.headers.get("idempotent-replay");
    if (said !== (isReplay ? "true" : undefined)) throw new Error(`idempotent-replay is ${said}`);
  };
}

/** The header is the same thing as the field. */
function addKey(headers: [string, string][], inputs: ModelInput[], { batch }: AppendBody, random: SeededRandom): void {
  if (random.integer(4) > 0 || inputs.some(({ idempotencyKey }) => idempotencyKey !== undefined)) return;
  const key = random.pick([...keys.filter((text) => /^[ -~]+$/.test(text)), "only-as-header"]);
  headers.push(["Idempotency-Key", key]);
  for (const [index, input] of inputs.entries()) input.idempotencyKey = batch ? `${key}/${index}` : key;
}

function addSource(headers: [string, string][], inputs: ModelInput[], random: SeededRandom): void {
  if (random.integer(8) > 0) return;
  const depth = random.pick([undefined, 0, 41]);
  const slug = random.pick([undefined, "a slug", "s".repeat(255)]);
  const cause = random.pick([undefined, { streamPath: "/a/b@c", offset: 7 }]);
  if (depth !== undefined) headers.push(["Millrace-Depth", String(depth)]);
  if (slug !== undefined) headers.push(["Millrace-Processor", slug]);
  if (cause !== undefined) headers.push(["millrace-cause", `${encodeURIComponent(cause.streamPath)}@${cause.offset}`]);
  if (depth === undefined && slug === undefined && cause === undefined) return;
  const source = { kind: "remote", ...(slug === undefined ? {} : { slug }), ...(cause === undefined ? {} : { cause }) };
  for (const input of inputs) input.source = { ...source, depth: (depth ?? 0) + 1 };
}

/** `metadata.request`, where the server wraps a body. */
function addSurroundings(
  headers: [string, string][],
  inputs: ModelInput[],
  { wrapped, contentType, sentText }: AppendBody,
  query: [string, string][],
  random: SeededRandom,
): void {
  const request: Record<string, unknown> = {};
  if (contentType !== undefined) request.contentType = contentType;
  if (random.integer(3) === 0) {
    headers.push(["User-Agent", "fuzz/1 (it's me)"]);
    request.userAgent = "fuzz/1 (it's me)";
  }
  if (random.integer(6) === 0) {
    headers.push(["X-GitHub-Event", "push"], ["Webhook-Id", "w"], ["Cookie", "c=1"], ["Authorization", "Basic eDp5"]);
    request.headers = { "x-github-event": "push", "webhook-id": "w" };
  }
  if (query.some(([name]) => name === "a")) request.query = { a: ["1", "ü&"], b: "" };
  if (query.some(([name]) => name === "raw")) request.raw = sentText;
  const [input] = inputs;
  if (wrapped && input !== undefined) input.metadata = { request } as never;
}
