import { expect, test } from "vitest";
import { builtinPrefix } from "../contract.ts";
import { deployedCodeBytesMax } from "../limits.ts";
import { parseEventInput } from "../parse-event.ts";

const script = { slug: "s", script: "export default {};" };
const two = { "processor.ts": "export {};", "lib.ts": "" };
const gateway = { entrypoint: "DynamicWorkerEgressGateway" };

function judge(payload: unknown): string {
  const parsed = parseEventInput({ type: `${builtinPrefix}dynamic-worker/configured`, payload }, { jsonDepth: 64 });
  return parsed.ok ? "accepted" : parsed.error;
}

test.each([
  [script],
  [{ slug: "s", modules: { "anything.js": "export default {};" } }],
  [{ slug: "s", modules: two }],
  [{ slug: "s", modules: { "processor.js": "export {};", "lib.js": "" } }],
  [{ slug: "s", modules: { "a.ts": "export {};", "b.ts": "" }, main: "a.ts" }],
  [{ slug: "s", modules: two, main: "lib.ts" }],
  [{ ...script, env: { KEY: "{{secret:KEY}}", EMPTY: "" } }],
  [{ ...script, startFrom: "start", includeChildren: true }],
  [{ ...script, startFrom: 0, includeChildren: false }],
  [{ ...script, limits: {} }],
  [{ ...script, limits: { cpuMs: 50, memoryMb: 64.5, timeoutMs: 1 } }],
  [{ ...script, compatibilityDate: "2026-02-05", compatibilityFlags: ["nodejs_compat"] }],
  [{ ...script, outboundGateway: gateway }],
  [{ ...script, outboundGateway: { ...gateway, props: {} } }],
  [{ ...script, outboundGateway: { ...gateway, props: { secretHeaderName: "x-key", secretHeaderValue: "a" } } }],
])("%j is accepted", (payload) => {
  expect(judge(payload)).toBe("accepted");
});

test.each([
  [{ slug: "s" }, "payload: expected either script or modules, got neither"],
  [{ ...script, modules: two }, "payload: expected either script or modules, got both"],
  [{ slug: "s", script: "" }, "payload.script: expected some text"],
  [{ slug: "s", script: ["a"] }, "payload.script: expected a string, got an array"],
  [{ ...script, main: "processor.ts" }, "payload.main: only modules have a main"],
  [{ slug: "s", modules: {} }, "payload.modules: expected at least one module"],
  [{ slug: "s", modules: [] }, "payload.modules: expected an object, got an array"],
  [{ slug: "s", modules: { "a.ts": 1 } }, 'payload.modules["a.ts"]: expected a string, got a number'],
  [{ slug: "s", modules: { "a.ts": "", "b.ts": "" } }, "payload.main: expected the name of a module, since none is"],
  [{ slug: "s", modules: two, main: "index.ts" }, "payload.main: expected the name of one of the modules"],
  [{ slug: "s", modules: two, main: "toString" }, "payload.main: expected the name of one of the modules"],
  [{ slug: "s", modules: JSON.parse('{"__proto__":"a"}') }, "payload.modules: __proto__ cannot be a key here"],
  [{ ...script, env: { KEY: 1 } }, "payload.env.KEY: expected a string, got a number"],
  [{ ...script, env: null }, "payload.env: expected an object, got null"],
  [{ ...script, startFrom: "head" }, 'payload.startFrom: expected "start", "end" or the offset'],
  [{ ...script, includeChildren: "true" }, "payload.includeChildren: expected true or false, got a string"],
  [{ ...script, limits: { cpuMs: 0 } }, "payload.limits.cpuMs: expected a number above 0"],
  [{ ...script, limits: { memoryMb: 15 } }, "payload.limits.memoryMb: expected 16 to 1024"],
  [{ ...script, limits: { memoryMb: 1_025 } }, "payload.limits.memoryMb: expected 16 to 1024"],
  [{ ...script, limits: { memoryMb: "1" } }, "payload.limits.memoryMb: expected a number, got a string"],
  [{ ...script, limits: { cpu: 1 } }, "payload.limits.cpu: unknown key"],
  [{ ...script, compatibilityDate: "today" }, "payload.compatibilityDate: expected a date such as 2026-02-05"],
  [{ ...script, compatibilityFlags: "nodejs_compat" }, "payload.compatibilityFlags: expected an array, got a string"],
  [{ ...script, compatibilityFlags: [1] }, "payload.compatibilityFlags[0]: expected a string, got a number"],
  [{ ...script, outboundGateway: {} }, 'payload.outboundGateway.entrypoint: is missing; expected "DynamicWorkerEgress'],
  [
    { ...script, outboundGateway: { entrypoint: "Other" } },
    'payload.outboundGateway.entrypoint: expected "DynamicWork',
  ],
  [
    { ...script, outboundGateway: { ...gateway, props: { secretHeaderName: "x-key" } } },
    "payload.outboundGateway.props: expected secretHeaderName and secretHeaderValue together",
  ],
  [{ ...script, code: "x" }, "payload.code: unknown key; dynamic-worker/configured has slug, script, modules, main"],
])("%j is refused: %s", (payload, error) => {
  expect(judge(payload)).toContain(error);
});

test("code has at most 4 MiB, counted in bytes over all modules", () => {
  const half = "x".repeat(deployedCodeBytesMax / 2);
  expect(judge({ slug: "s", script: half + half })).toBe("accepted");
  expect(judge({ slug: "s", script: `${half}${half}x` })).toBe(
    "payload: expected at most 4194304 bytes of code, got 4194305",
  );
  expect(judge({ slug: "s", modules: { "processor.ts": half, "lib.ts": half } })).toBe("accepted");
  expect(judge({ slug: "s", modules: { "processor.ts": half, "lib.ts": `${half}x` } })).toContain("got 4194305");
  expect(judge({ slug: "s", script: `${half}${"é".repeat(deployedCodeBytesMax / 4)}é` })).toContain("got 4194306");
});

function judgeSource(payload: unknown): string {
  const type = `${builtinPrefix}dynamic-worker/source-configured`;
  const parsed = parseEventInput({ type, payload }, { jsonDepth: 64 });
  return parsed.ok ? "accepted" : parsed.error;
}

const files = { "processor.ts": "export default {};" };

test.each([
  [{ slug: "s", files }],
  [{ slug: "s", files: { "anything.ts": "" } }],
  [{ slug: "s", files: { "a.ts": "", "lib/b.ts": "" }, main: "lib/b.ts" }],
  [{ slug: "s", files: { "a.ts": "", "b.ts": "" }, packageJson: { main: "./b.ts" } }],
  [{ slug: "s", files, packageJson: { dependencies: { zod: "^4", "@scope/name": "1.0.0" }, scripts: { test: "x" } } }],
  [{ slug: "s", files, env: { KEY: "v" }, startFrom: 0, includeChildren: true, limits: { cpuMs: 1 } }],
])("the source %j is accepted", (payload) => {
  expect(judgeSource(payload)).toBe("accepted");
});

test.each([
  [{ slug: "s" }, "payload.files: is missing"],
  [{ slug: "s", files: {} }, "payload.files: expected at least one file"],
  [{ slug: "s", files: { "../a.ts": "" } }, 'payload.files["../a.ts"]: expected a relative name'],
  [{ slug: "s", files: { "/etc/passwd": "" } }, 'payload.files["/etc/passwd"]: expected a relative name'],
  [{ slug: "s", files: { "a\\b.ts": "" } }, "expected a relative name"],
  [{ slug: "s", files: { "node_modules/zod/index.js": "" } }, "not below node_modules"],
  [{ slug: "s", files: { "a.ts": "", "b.ts": "" } }, "payload.main: expected the name of a file, since none is called"],
  [{ slug: "s", files, main: "other.ts" }, "payload.main: expected the name of one of the files"],
  [
    { slug: "s", files, packageJson: { dependencies: ["zod"] } },
    "payload.packageJson.dependencies: expected names with",
  ],
  [{ slug: "s", files, packageJson: "{}" }, "payload.packageJson: expected an object, got a string"],
  [{ slug: "s", files, script: "x" }, "payload.script: unknown key"],
  [{ slug: "s", files: { "a.ts": "x".repeat(deployedCodeBytesMax + 1) } }, "expected at most 4194304 bytes of code"],
])("the source %j is refused: %s", (payload, error) => {
  expect(judgeSource(payload)).toContain(error);
});
