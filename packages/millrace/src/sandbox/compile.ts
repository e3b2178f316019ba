/**
 * From the modules of a deployed processor to one script that a sandbox loads. Compilers are processes of their own
 * (compile/compilers.ts), since whoever deploys chooses what they read; here is what is remembered of them.
 */
import { createHash } from "node:crypto";
import { type SandboxCode, SandboxError } from "@millrace/engine";
import type { LinesMap } from "./authors-lines.ts";
import type { Bundled, ModulesToBundle } from "./compile/bundle-modules.ts";
import { type CompilersSettings, createCompilers } from "./compile/compilers.ts";
import { transformAlone } from "./compile/transform-alone.ts";

export type CompileInput = Pick<SandboxCode, "modules" | "main">;

export interface CompiledProcessor {
  /** One ES module, which imports `node:*` and `cloudflare:*` alone. */
  script: string;
  /** Leads from the script to the author's lines: see authorsLines. */
  map: LinesMap;
}

export interface Compiler {
  /** @throws SandboxError "code" with file, line and column, "unavailable" when nothing can be compiled now */
  compile(input: CompileInput): Promise<CompiledProcessor>;
  close(): void;
}

export interface CompilerSettings extends Partial<CompilersSettings> {
  /** Of all scripts and maps that are remembered. */
  rememberedCharacters?: number;
}

/** What failed for good is remembered too: the same code deployed again costs nothing. */
type Remembered = (CompiledProcessor | { fault: string }) & { characters: number };

export function createCompiler({
  rememberedCharacters = 32 * 1024 * 1024,
  ...settings
}: CompilerSettings = {}): Compiler {
  const compilers = createCompilers(settings);
  const remembered = new Map<string, Remembered>();
  const running = new Map<string, Promise<Remembered>>();
  const { memoryMb = 1_024 } = settings;
  let characters = 0;
  let isTransforming = false;
  let isClosed = false;

  function remember(key: string, entry: Remembered): void {
    // One that is very large would push out all others.
    if (entry.characters > rememberedCharacters / 2) return;
    remembered.set(key, entry);
    characters += entry.characters;
    for (const [oldest, { characters: freed }] of remembered) {
      if (characters <= rememberedCharacters) return;
      remembered.delete(oldest);
      characters -= freed;
    }
  }

  /** One at a time: where there is more to do, a compiler is worth its start. */
  async function transformed(job: ModulesToBundle): Promise<Bundled | undefined> {
    if (isTransforming || compilers.areRunning) return undefined;
    isTransforming = true;
    try {
      return await transformAlone(job, memoryMb);
    } finally {
      isTransforming = false;
    }
  }

  async function run(key: string, input: CompileInput): Promise<Remembered> {
    const job = { modules: input.modules, main: input.main };
    const short = await transformed(job);
    if (short === undefined && isClosed) throw new SandboxError("unavailable", "The server is stopping.");
    const answer = short ?? (await compilers.compile(job));
    const entry: Remembered =
      "fault" in answer
        ? { fault: answer.fault, characters: answer.fault.length }
        : {
            script: answer.script,
            map: { json: answer.map },
            characters: answer.script.length + answer.map.length,
          };
    remember(key, entry);
    return entry;
  }

  return {
    async compile(input) {
      const key = hashOf(input);
      let entry = remembered.get(key);
      if (entry !== undefined) {
        // The youngest is last.
        remembered.delete(key);
        remembered.set(key, entry);
      } else {
        const started = running.get(key) ?? run(key, input).finally(() => running.delete(key));
        running.set(key, started);
        entry = await started;
      }
      if ("fault" in entry) throw new SandboxError("code", entry.fault);
      return { script: entry.script, map: entry.map };
    },
    close() {
      isClosed = true;
      compilers.close();
    },
  };
}

let shared: Compiler | undefined;

/** By the compiler that this process shares. It starts when it is needed, and ends by itself when it is not. */
export function compileProcessor(input: CompileInput): Promise<CompiledProcessor> {
  shared ??= createCompiler();
  return shared.compile(input);
}

function hashOf({ modules, main }: CompileInput): string {
  const hash = createHash("sha256").update(JSON.stringify(main));
  for (const name of Object.keys(modules).sort()) {
    const source = modules[name] as string;
    hash.update(`${JSON.stringify(name)}${source.length}:`).update(source);
  }
  return hash.digest("base64");
}
