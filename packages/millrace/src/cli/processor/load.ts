/** From a file to the processor that it exports, or to words that say what is wrong with it. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { type LoadedProcessor, slugCharactersMax } from "@millrace/protocol";
import { UsageError } from "../usage.ts";
import { errorText } from "./author-line.ts";
import { type Built, createBundler, importBuilt } from "./bundle.ts";

export interface Loaded {
  processor: LoadedProcessor;
  /** The author's own files, absolute. */
  files: ReadonlySet<string>;
}

/** @throws UsageError when there is no file, or no processor in it */
export async function loadProcessor(file: string): Promise<Loaded> {
  await mustExist(file);
  const bundler = await createBundler(file);
  try {
    return await loadBuilt(file, await bundler.build());
  } finally {
    await bundler.close();
  }
}

/** @throws UsageError */
export async function mustExist(file: string): Promise<void> {
  const found = await stat(file).catch((error: Error) => {
    throw new UsageError(`${file} cannot be read (${error.message}).`);
  });
  if (!found.isFile()) throw new UsageError(`${file} is no file.`);
}

/** @throws Error where it does not compile or cannot be imported, UsageError when it exports no processor */
export async function loadBuilt(file: string, built: Built): Promise<Loaded> {
  if ("fault" in built) throw new Error(`${file} does not compile:\n${built.fault}`);
  const directory = path.dirname(path.resolve(file));
  const files = new Set([...built.files].map((name) => path.resolve(directory, name)));
  let exported: Record<string, unknown>;
  try {
    exported = await importBuilt(built.code);
  } catch (error) {
    throw new Error(`${file} could not be loaded: ${errorText(error, files)}`);
  }
  return { processor: checked(file, processorIn(file, exported)), files };
}

type Candidate = Record<string, unknown>;

function processorIn(file: string, exported: Record<string, unknown>): Candidate {
  if (isProcessorLike(exported.default)) return exported.default;
  const found = Object.entries(exported).filter(([, value]) => isProcessorLike(value));
  const names = found.map(([name]) => name).join(", ");
  if (found.length > 1)
    throw new UsageError(`${file} exports several processors (${names}): make one of them default.`);
  if (found[0] !== undefined) return found[0][1] as Candidate;
  const exports = Object.keys(exported).join(", ") || "nothing";
  throw new UsageError(
    `${file} exports no processor, but ${exports}. Expected: export default defineProcessor({ slug, initialState, reduce }).`,
  );
}

function isProcessorLike(value: unknown): value is Candidate {
  if (typeof value !== "object" || value === null) return false;
  return "slug" in value && ("reduce" in value || "afterAppend" in value);
}

/** A copy with what counts: it may be an instance of a class, whose methods a spread would lose. */
function checked(file: string, candidate: Candidate): LoadedProcessor {
  const wrong = (what: string) => new UsageError(`The processor of ${file} ${what}.`);
  const { slug, initialState, startFrom, catchUp, version, events } = candidate;
  if (typeof slug !== "string" || slug === "" || slug.length > slugCharactersMax) {
    throw wrong(`needs a slug, a string of 1 to ${slugCharactersMax} characters`);
  }
  if (initialState === undefined) throw wrong("needs an initialState; null is one");
  if (typeof candidate.reduce !== "function") throw wrong("needs reduce, a function ({state, event}) => state");
  const methods = (["reduce", "afterAppend", "afterCatchUp"] as const).flatMap((name) => {
    const method = candidate[name];
    if (method === undefined) return [];
    if (typeof method !== "function") throw wrong(`has ${name}, which is no function`);
    return [[name, method.bind(candidate)]];
  });
  const rest = Object.entries({ startFrom, catchUp, version, events }).filter(([, value]) => value !== undefined);
  return { slug, initialState, ...Object.fromEntries([...methods, ...rest]) } as LoadedProcessor;
}
