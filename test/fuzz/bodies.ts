/** Bodies of appends in all the forms in which they may come, beside the events that PROTOCOL.md says they become. */
import type { SeededRandom } from "@millrace/testing";
import { builtin } from "../../packages/millrace/test/model.ts";
import { type Draft, type DraftContext, draftOf, invalid } from "./drafts.ts";

export interface AppendBody {
  body: Uint8Array;
  contentType?: string;
  drafts: Draft[];
  batch: boolean;
  /** Of a wrapped body: what stands in `?type=`. */
  type?: string;
  /** The body as text, which `raw=true` keeps. */
  sentText: string;
  /** Whether the server wrapped it, and so says what came around it. */
  wrapped: boolean;
}

const jsonTypes = [
  undefined,
  "application/json",
  "application/json; charset=utf-8",
  "text/plain",
  "application/x-www-form-urlencoded",
  "image/png",
  'a"b/;;=',
];
const ndjsonTypes = [
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "Application/JSONLines",
  "application/x-jsonlines; charset=utf-8",
];

export function single(draft: Draft, random: SeededRandom): AppendBody {
  const isWrapped = random.integer(5) === 0 && typeof rawInputOf(draft) !== "string";
  const sentText = isWrapped ? `{ "event" : ${draft.text} }` : draft.text;
  const sent = isWrapped && !draft.valid ? { ...draft, stored: { ...draft.stored, content: sentText } } : draft;
  return form(sentText, random.pick(jsonTypes), [sent], { batch: false, wrapped: !draft.valid });
}

function rawInputOf({ valid, stored }: Draft): unknown {
  return valid ? undefined : (stored.payload as { rawInput: unknown }).rawInput;
}

export function batch(drafts: Draft[], random: SeededRandom): AppendBody {
  const elements = drafts.map(({ text }) => text).join(random.pick([",", " , ", ",\n"]));
  const text = random.pick([`[${elements}]`, ` [ ${elements}\t]\r\n`, `{"events":[${elements}]}`]);
  return form(text, random.pick(jsonTypes), drafts, { batch: true, wrapped: false });
}

export function ndjson(drafts: Draft[], random: SeededRandom): AppendBody {
  const broken = ["not json", '{"type":"a"', '{"type":"a"},', "5", '"text"', "\u00fc[1,"];
  const all = drafts.flatMap((draft) => {
    const line = random.pick(broken);
    return random.integer(6) === 0 ? [draft, invalid(line, line)] : [draft];
  });
  const blank = () => (random.integer(5) === 0 ? random.pick(["\n", "\r\n", "  \n"]) : "");
  const text = all.map((draft) => blank() + draft.text).join(random.pick(["\n", "\r\n"]));
  return form(random.pick([text, `${text}\n${blank()}`]), random.pick(ndjsonTypes), all, {
    batch: true,
    wrapped: false,
  });
}

/** What is no JSON at all, or no event by any reading. */
export function noEvent(random: SeededRandom): AppendBody {
  const [text, contentType, rawInput] = random.pick<[string, string | undefined, unknown]>([
    ["", undefined, ""],
    ["", "application/json", ""],
    ["plain text", "text/plain", "plain text"],
    ['{"type":"a"', "application/json", '{"type":"a"'],
    ['{"type":"a"} {"type":"b"}', undefined, '{"type":"a"} {"type":"b"}'],
    ["{'type':'a'}", "application/json", "{'type':'a'}"],
    ["a=1&b=2", "application/x-www-form-urlencoded", "a=1&b=2"],
    ["zero \u0000 and ünï 🦦\r\n", undefined, "zero \u0000 and ünï 🦦\r\n"],
    ["5", "application/json", 5],
    ['"text"', "application/vnd.api+json", "text"],
    ["false", "application/json", false],
    ["9007199254740993", "application/json", "9007199254740993"],
    ['{"event":[]}', undefined, []],
  ]);
  return form(text, contentType, [invalid(text, rawInput)], { batch: false, wrapped: true });
}

/** Bytes that are no UTF-8. */
export function noText(random: SeededRandom): AppendBody {
  const bytes = Buffer.from(random.pick(["ff", "7b22eda080227d", "c328", "00ff00", "fe".repeat(3_000)]), "hex");
  const base64 = bytes.toString("base64");
  const body = form("", random.pick(jsonTypes), [invalid(base64, base64)], { batch: false, wrapped: true });
  return { ...body, body: bytes, sentText: base64 };
}

const multipart = [
  '--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nv\r\n',
  '--b\r\nContent-Disposition: form-data; name="u"; filename="n.txt"\r\nContent-Type: text/plain\r\n\r\nfile\r\n--b--\r\n',
].join("");

const wrappable: readonly [text: string, contentType: string | undefined, payload: unknown][] = [
  ['{"ref":"main","n":[1,{"__proto__":2}]}', "application/json", { parsed: true }],
  ["[1,2]", "text/plain", { parsed: true }],
  ["{}", undefined, { parsed: true }],
  ["null", "application/x-www-form-urlencoded", { parsed: true }],
  ["plain", undefined, "plain"],
  ["", "application/json", ""],
  ['{"a":', "application/json", '{"a":'],
  ["[9007199254740993]", "application/json", "[9007199254740993]"],
  [
    "a=1&b=%C3%BC&a=3&a=4&c=&toString=x",
    "application/x-www-form-urlencoded",
    { a: ["1", "3", "4"], b: "ü", c: "", toString: "x" },
  ],
  [
    multipart,
    "multipart/form-data; boundary=b",
    { f: "v", u: { filename: "n.txt", contentType: "text/plain", base64: "ZmlsZQ==" } },
  ],
  ["--b no form", "multipart/form-data; boundary=b", "--b no form"],
];

/** Any body as the payload of the type in the query. */
export function wrap(random: SeededRandom): AppendBody {
  const [text, contentType, described] = random.pick(wrappable);
  const parsed = typeof described === "object" && described !== null && "parsed" in described;
  const payload = parsed ? JSON.parse(text) : described;
  const type = random.pick(["wrapped", "wrapped", " trimmed ", "ünï&=?", "", builtin("resumed"), builtin("nothing")]);
  const content = `${type}\n${text}`;
  const fits = type === builtin("resumed") ? text === "{}" : type !== "" && type !== builtin("nothing");
  const isForm = /form/.test(contentType ?? "");
  const draft: Draft = fits
    ? { text, stored: { type: type.trim(), payload, content }, valid: true }
    : invalid(text, isForm ? text : payload, content);
  return { ...form(text, contentType, [draft], { batch: false, wrapped: true }), type };
}

function form(
  text: string,
  contentType: string | undefined,
  drafts: Draft[],
  how: { batch: boolean; wrapped: boolean },
): AppendBody {
  const known = contentType === undefined ? {} : { contentType };
  return {
    body: Buffer.from(text),
    sentText: text,
    drafts: drafts.map((draft) => withType(draft, known)),
    ...how,
    ...known,
  };
}

/** An invalid event says of which content type it was. */
function withType(draft: Draft, known: { contentType?: string }): Draft {
  if (draft.valid) return draft;
  const payload = { ...(draft.stored.payload as object), ...known } as never;
  return { ...draft, stored: { ...draft.stored, payload } };
}

export function anyBody(context: DraftContext): AppendBody {
  const { random } = context;
  const some = () => Array.from({ length: 1 + random.integer(random.pick([2, 8])) }, () => draftOf(context));
  switch (random.integer(10)) {
    case 0:
    case 1:
      return batch(some(), random);
    case 2:
      return ndjson(some(), random);
    case 3:
      return noEvent(random);
    case 4:
      return random.integer(3) === 0 ? noText(random) : noEvent(random);
    case 5:
      return wrap(random);
    default:
      return single(draftOf(context), random);
  }
}
