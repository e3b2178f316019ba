/** The rooms of ARCHITECTURE.md: imports go one way, through doors, and never in a circle. Read as text. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What stands in a sandbox beside the workers that run there. */
const inSandbox: ReadonlySet<string> = new Set(["cloudflare:workers", "processor.js"]);

/** What each room may import of the house, and whether it may use Node: nowhere, everywhere, or below one folder. */
const rooms: Record<string, { imports: string[]; node: boolean | string }> = {
  protocol: { imports: [], node: false },
  sdk: { imports: ["@millrace/protocol"], node: "node" },
  engine: { imports: ["@millrace/protocol"], node: false },
  testing: { imports: ["@millrace/protocol", "@millrace/engine"], node: false },
  http: { imports: ["@millrace/protocol", "@millrace/engine"], node: false },
  millrace: {
    imports: [
      "@millrace/protocol",
      "@millrace/engine",
      "@millrace/http",
      "@millrace/sdk",
      "@millrace/sdk/processor",
      "@millrace/sdk/node",
    ],
    node: true,
  },
};

const sources = Object.keys(rooms).flatMap((room) =>
  files(path.join(root, "packages", room, "src")).map((file) => ({ room, file, imports: importsOf(file) })),
);

function files(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .map((name) => path.join(directory, name));
}

function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/^(?:import|export)\b[^"']*?from "([^"]+)";$|^import "([^"]+)";$/gms)].map(
    (match) => (match[1] ?? match[2]) as string,
  );
}

test("every room is known here and has sources", () => {
  expect(readdirSync(path.join(root, "packages")).sort()).toEqual(Object.keys(rooms).sort());
  for (const room of Object.keys(rooms)) expect(sources.some((source) => source.room === room)).toBe(true);
});

test("rooms import only what the house allows, and only through doors", () => {
  const wrong: string[] = [];
  for (const { room, file, imports } of sources) {
    for (const name of imports) {
      const ours = name.startsWith("@millrace/") || name === "millrace" || name.startsWith("millrace/");
      if (ours && !rooms[room]?.imports.includes(name)) wrong.push(`${path.relative(root, file)} imports ${name}`);
      if (name.startsWith("node:") && !mayUseNode(room, file))
        wrong.push(`${path.relative(root, file)} imports ${name}`);
      if (name.startsWith(".")) {
        const target = path.resolve(path.dirname(file), name);
        if (!target.startsWith(path.join(root, "packages", room, "src") + path.sep))
          wrong.push(`${file} leaves its room for ${name}`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test("no circle of imports that the program would run", () => {
  const graph = new Map(sources.map(({ file }) => [file, runtimeImports(file)]));
  const finished = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, trail: string[]): void => {
    if (trail.includes(file)) {
      circles.push([...trail.slice(trail.indexOf(file)), file].map((name) => path.basename(name)).join(" -> "));
      return;
    }
    if (finished.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
    finished.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  expect(circles).toEqual([]);
});

function mayUseNode(room: string, file: string): boolean {
  const node = rooms[room]?.node ?? false;
  if (typeof node === "boolean") return node;
  return file.startsWith(path.join(root, "packages", room, "src", node) + path.sep);
}

/** Relative imports that are left when the types are gone. */
function runtimeImports(file: string): string[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/^(?:import|export)\s+(?!type\b)[^"']*?from "(\.[^"]+)";$/gms)]
    .filter((match) => !/^\w+\s+\{(?:\s*type [^,}]+,?)+\s*\}/s.test(match[0]))
    .map((match) => path.resolve(path.dirname(file), match[1] as string));
}

test("declared dependencies are the imported ones", () => {
  for (const room of Object.keys(rooms)) {
    const manifest = JSON.parse(readFileSync(path.join(root, "packages", room, "package.json"), "utf8")) as {
      dependencies?: Record<string, string>;
    };
    const imported = sources
      .filter((source) => source.room === room)
      .flatMap(({ imports }) => imports)
      .filter((name) => !name.startsWith(".") && !name.startsWith("node:") && !inSandbox.has(name))
      .map((name) => (name.startsWith("@") ? name.split("/").slice(0, 2).join("/") : (name.split("/")[0] as string)));
    const declared = Object.keys(manifest.dependencies ?? {});
    expect(
      imported.filter((name) => !declared.includes(name)),
      `${room} imports what it does not declare`,
    ).toEqual([]);
    const foreign = declared.filter((name) => !name.startsWith("@millrace/"));
    expect(
      foreign.filter((name) => !imported.includes(name)),
      `${room} declares what it does not import`,
    ).toEqual([]);
  }
});
