/**
 * A shorter way for most code: one module that imports nothing. esbuild's own program turns a text into a text in some
 * milliseconds, where a compiler's process takes a tenth of a second to start. Whatever is not as simple as that, or
 * wrong, is left to a compiler, which says why.
 */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import type { Bundled, ModulesToBundle } from "./bundle-modules.ts";

const sourceCharactersMax = 256 * 1024;
const scriptBytesMax = 4 * 1024 * 1024;
const timeoutMs = 1_000;
const loaders: Readonly<Record<string, string>> = { ts: "ts", mts: "ts", js: "js", mjs: "js" };
/** Also in a text or a comment: then a compiler looks at it closely. */
const mayImport = /\bimport\b|\brequire\b|^(\}|export\b).*\bfrom\b/m;
const mapStart = "\n//# sourceMappingURL=data:application/json;base64,";
/** It has nothing but this text and its own memory; should the server end, it does, too, after its seconds. */
const limited = 'ulimit -c 0; ulimit -t 2; ulimit -d "$0" 2>/dev/null; exec "$@"';

/** Undefined where it takes a compiler. */
export async function transformAlone(
  { modules, main }: ModulesToBundle,
  memoryMb: number,
): Promise<Extract<Bundled, { script: string }> | undefined> {
  const [only, ...others] = Object.keys(modules);
  const source = modules[main];
  const loader = /^\w[\w-]*\.(\w+)$/.exec(main)?.[1];
  const program = loader === undefined ? undefined : esbuildProgram();
  if (only !== main || others.length > 0 || source === undefined || program === undefined) return undefined;
  if (!Object.hasOwn(loaders, loader as string) || source.length > sourceCharactersMax) return undefined;
  const options = ["--format=esm", "--target=es2022", "--charset=utf8", "--legal-comments=none", "--tsconfig-raw={}"];
  const map = ["--sourcemap=inline", "--sources-content=false", `--sourcefile=${main}`];
  const command = [program, `--loader=${loaders[loader as string]}`, ...options, ...map, "--log-level=silent"];
  const output = await outputOf(["/bin/sh", "-c", limited, String(memoryMb * 1024), ...command], source);
  const end = output?.lastIndexOf(mapStart) ?? -1;
  if (output === undefined || end < 0) return undefined;
  const script = output.slice(0, end + 1);
  if (mayImport.test(script)) return undefined;
  return { script, map: Buffer.from(output.slice(end + mapStart.length), "base64").toString() };
}

/** Undefined when it failed, in whatever way. */
function outputOf([program = "", ...args]: readonly string[], input: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { env: {}, cwd: "/", stdio: ["pipe", "pipe", "ignore"], timeout: timeoutMs });
    const parts: Buffer[] = [];
    let bytes = 0;
    child.on("error", () => resolve(undefined));
    // Where no file can be opened any more there are no pipes either, whatever the types say; "error" follows.
    child.stdout?.on("data", (part: Buffer) => {
      parts.push(part);
      bytes += part.length;
      if (bytes > scriptBytesMax) child.kill("SIGKILL");
    });
    child.stdin?.on("error", () => {});
    child.on("close", (code) => resolve(code === 0 ? Buffer.concat(parts).toString() : undefined));
    child.stdin?.end(input);
  });
}

let program: string | null | undefined;

/** The one that the package would start itself; undefined where it has none of its own, or another one is wished for. */
function esbuildProgram(): string | undefined {
  if (process.env.ESBUILD_BINARY_PATH !== undefined || process.platform === "win32") return undefined;
  program ??= findProgram();
  return program ?? undefined;
}

function findProgram(): string | null {
  try {
    const esbuild = createRequire(import.meta.url).resolve("esbuild");
    return createRequire(esbuild).resolve(`@esbuild/${process.platform}-${process.arch}/bin/esbuild`);
  } catch {
    return null;
  }
}
