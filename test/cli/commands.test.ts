/** Commands against a real server: a line that is typed, what is printed, how it ends. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { append, builtin, readAll } from "../processes/http.ts";
import { type ServerProcess, startServer, temporaryDirectory } from "../processes/server-process.ts";
import { lines, run } from "./run.ts";

let server: ServerProcess;
let env: Record<string, string>;
const { directory, remove } = temporaryDirectory();

beforeAll(async () => {
  server = await startServer({ data: ":memory:" });
  env = { MILLRACE_URL: server.url };
});
afterAll(async () => {
  await server.stop("SIGTERM");
  remove();
});

const file = (name: string, text: string): string => {
  const full = path.join(directory, name);
  writeFileSync(full, text);
  return full;
};

describe("append", () => {
  const cases: { says: string; args: string[]; input?: string; code?: number; stored: object[] }[] = [
    { says: "a type", args: ["hello-world"], stored: [{ type: "hello-world", payload: {} }] },
    { says: "a type and a payload", args: ["a", "--payload", '{"n":1}'], stored: [{ type: "a", payload: { n: 1 } }] },
    { says: "--type alone", args: ["--type", "a"], stored: [{ type: "a", payload: {} }] },
    {
      says: "metadata and an offset",
      args: ["a", "--metadata", '{"by":"me"}', "--offset", "2"],
      stored: [{ type: "a", metadata: { by: "me" }, offset: 2 }],
    },
    {
      says: "an event as JSON",
      args: ['{"type":"a","payload":[1]}', "--key", "k"],
      stored: [{ type: "a", payload: [1], idempotencyKey: "k" }],
    },
    { says: "a list as JSON", args: ['[{"type":"a"},{"type":"b"}]'], stored: [{ type: "a" }, { type: "b" }] },
    { says: "JSON from stdin", args: ["-"], input: '{\n  "type": "a"\n}\n', stored: [{ type: "a" }] },
    {
      says: "NDJSON from stdin",
      args: ["-", "--key", "k"],
      input: '{"type":"a"}\n\n{"type":"b"}\n',
      stored: [
        { type: "a", idempotencyKey: "k/0" },
        { type: "b", idempotencyKey: "k/1" },
      ],
    },
    {
      says: "stdin as a payload: JSON",
      args: ["-", "--type", "a"],
      input: "[1,2]\n",
      stored: [{ type: "a", payload: [1, 2] }],
    },
    {
      says: "stdin as a payload: text",
      args: ["-", "--type", "a"],
      input: "up 3 days\n",
      stored: [{ type: "a", payload: "up 3 days" }],
    },
    {
      says: "stdin as a payload: what JSON.parse would change stays text",
      args: ["-", "--type", "a"],
      input: "12345678901234567890",
      stored: [{ type: "a", payload: "12345678901234567890" }],
    },
    {
      says: "what is no event: stored, and said",
      args: ['{"hogwash":"yes!"}'],
      code: 1,
      stored: [{ type: builtin("invalid-event-appended") }],
    },
    { says: "a path without its slash", args: ["a"], stored: [{ type: "a" }] },
  ];

  test.each(cases)("$says", async ({ says, args, input, code = 0, stored }) => {
    const name = `append-${says.replace(/\W+/g, "-")}`;
    const ran = await run(["append", says.includes("slash") ? name : `/${name}`, ...args, "--json"], env, input);
    expect(ran.code).toBe(code);
    expect(lines(ran.stdout)).toMatchObject(stored);
    expect(await readAll(server.url, `/${name}`, "public", "&afterOffset=1")).toEqual(lines(ran.stdout));
    expect(ran.stderr === "").toBe(code === 0);
  });

  test("from a file, and nothing is added that was not asked for", async () => {
    const name = file("one.json", '{"type":"a","payload":{"x":"\\u001b[31m\\u009b31m"}}');
    const { stdout, code } = await run(["append", "/from-file", "--file", name], env);
    expect(code).toBe(0);
    const [, stored] = await readAll(server.url, "/from-file");
    expect(Object.keys(stored ?? {})).toEqual(["streamPath", "offset", "type", "payload", "createdAt"]);
    // No event may steer the terminal.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  });

  test("the same key again is the same event; other content is refused", async () => {
    const line = ["append", "/keys", "a", "--key", "order-1", "--json"];
    const first = await run(line, env);
    expect((await run(line, env)).stdout).toBe(first.stdout);
    const other = await run([...line, "--payload", "1"], env);
    expect(other).toMatchObject({ code: 1, stdout: "" });
    expect(other.stderr).toContain("order-1");
  });
});

describe("for people and for programs", () => {
  test("YAML is the default, and has no colours in a pipe", async () => {
    const { stdout } = await run(["append", "/yaml", "a", "--payload", '{"text":"two\\nlines"}'], env);
    expect(stdout.replace(/createdAt: .*/, "createdAt: now")).toBe(
      "---\nstreamPath: /yaml\noffset: 2\ntype: a\npayload:\n  text: |-\n    two\n    lines\ncreatedAt: now\n",
    );
  });

  test("read: ranges, order, types, subtrees", async () => {
    await append(server.url, "/read/a", [{ type: "a" }, { type: "b" }, { type: "ab" }]);
    const offsets = async (...args: string[]) => {
      const { stdout } = await run(["read", "/read/a", "--json", ...args], env);
      return lines(stdout).map((event) => (event as { offset: number }).offset);
    };
    expect(await offsets()).toEqual([1, 2, 3, 4]);
    expect(await offsets("--after", "1", "--before", "4")).toEqual([2, 3]);
    expect(await offsets("--desc", "--limit", "2")).toEqual([4, 3]);
    expect(await offsets("--type", "a*", "--type", "b")).toEqual([2, 3, 4]);
    const { stdout } = await run(["read", "/read", "--children", "--json", "--type", "ab"], env);
    expect(lines(stdout)).toMatchObject([{ streamPath: "/read/a", offset: 4 }]);
    expect(await run(["read", "/nowhere"], env)).toMatchObject({ code: 0, stdout: "" });
  });

  test("state, also of a processor at an offset", async () => {
    await append(server.url, "/state", { type: "a" });
    const { stdout } = await run(["state", "/state"], env);
    expect(stdout).toMatch(/^projectSlug: public\npath: \/state\n/);
    const at = await run(["state", "/state", "--processor", "lifecycle", "--at", "1", "--json"], env);
    expect(lines(at.stdout)).toMatchObject([{ state: { metadata: {} }, offset: 1 }]);
    expect((await run(["state", "/nowhere"], env)).code).toBe(1);
  });

  test("pause, what that means for others, and resume", async () => {
    const paused = await run(["pause", "/pausing", "looking", "into", "it", "--json"], env);
    expect(lines(paused.stdout)).toMatchObject([{ type: builtin("paused"), payload: { reason: "looking into it" } }]);
    const refused = await run(["append", "/pausing", "a"], env);
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toContain("looking into it");
    expect(refused.stderr).toContain("millrace resume /pausing");
    expect((await run(["resume", "/pausing"], env)).code).toBe(0);
    expect((await run(["append", "/pausing", "a"], env)).code).toBe(0);
  });

  test("delete wants a clear word, and says what it deleted", async () => {
    await append(server.url, "/gone/below", { type: "a" });
    const asked = await run(["delete", "/gone", "--children"], env);
    expect(asked.code).toBe(2);
    expect(asked.stderr).toContain("--yes");
    const { stdout } = await run(["delete", "/gone/below", "--yes", "--json"], env);
    expect(lines(stdout)).toEqual([{ deleted: [{ path: "/gone/below", head: 2 }], count: 1 }]);
  });

  test("streams: a tree for people, lines for programs", async () => {
    const project = { ...env, MILLRACE_PROJECT: "tree" };
    for (const path of ["/me/a", "/me/b/c"])
      await append(server.url, path, { type: "a" }, { "x-project-slug": "tree" });
    await run(["pause", "/me/a"], project);
    const tree = await run(["streams"], project);
    expect(tree.stdout.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "TIME").replace(/ +\d+ +/g, " N ")).toBe(
      "/ N TIME\n└─ me N TIME\n   ├─ a N TIME  paused\n   └─ b N TIME\n      └─ c N TIME\n",
    );
    const listed = await run(["streams", "/me/b", "--json"], project);
    expect(lines(listed.stdout)).toMatchObject([{ path: "/me/b" }, { path: "/me/b/c", head: 2 }]);
    const none = await run(["streams", "/nowhere"], project);
    expect(none).toMatchObject({ code: 0, stdout: "" });
  });
});
