/** The memory log shares code between records, and lets go of it. */
import { expect, test } from "vitest";
import { encodeRecord } from "../record.ts";
import { createSharedCode, recordOf } from "./shared-code.ts";

const type = "https://events.iterate.com/events/stream/dynamic-worker/configured";

function deployed(slug: string, script: string, continued = false): string {
  return encodeRecord({ type, payload: { slug, script } }, "2026-01-01T00:00:00.000Z", undefined, continued);
}

const script = 'const a = "{";\n'.repeat(1_000);

test("the same code is one text in a project, whatever stands around it", () => {
  const { keep } = createSharedCode();
  const kept = [
    keep("a", deployed("p", script)),
    keep("a", deployed("q", script, true)),
    keep("b", deployed("p", script)),
  ];
  expect(kept.map(recordOf)).toEqual([deployed("p", script), deployed("q", script, true), deployed("p", script)]);
  const [first, second, other] = kept.map((each) => (typeof each === "string" ? undefined : each.shared));
  expect(first).toMatchObject({ records: 2 });
  expect(second).toBe(first);
  expect(other).not.toBe(first);
});

test("what nobody has any more is let go", () => {
  const { keep, release } = createSharedCode();
  const [first, second] = [keep("a", deployed("p", script)), keep("a", deployed("q", script))];
  release("a", [first, "a record without code"]);
  expect(keep("a", deployed("r", script))).toMatchObject({ shared: { records: 2 } });
  release("a", [second]);
  release("a", [keep("a", deployed("r", "x".repeat(2_000)))]);
  expect(keep("a", deployed("s", script))).toMatchObject({ shared: { records: 2 } });
});

test.each([
  ["little code", deployed("p", "short")],
  ["another type", encodeRecord({ type: "a", payload: { script } }, "2026-01-01T00:00:00.000Z", undefined, false)],
])("%s stays in its record", (_, record) => {
  expect(createSharedCode().keep("a", record)).toBe(record);
});
