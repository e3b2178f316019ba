/**
 * What the code says of itself, learned by loading it here: its slug, and where it wants to start. Code that asks for
 * what only the sandbox has cannot be loaded here; then the command line has to say it.
 */
import { slugCharactersMax } from "@millrace/protocol";
import { importBuilt } from "../processor/bundle.ts";
import { UsageError } from "../usage.ts";

export interface Exported {
  slug?: string;
  startFrom?: "start" | "end" | number;
}

/** @throws Error, UsageError */
export async function exportedBy(file: string, code: string): Promise<Exported | { unknown: string }> {
  let module: Record<string, unknown>;
  try {
    module = await importBuilt(code);
  } catch (error) {
    if (needsSandbox(error)) return { unknown: (error as Error).message };
    throw new Error(`${file} could not be loaded: ${textOf(error)}`);
  }
  const candidate = module.default ?? module.processor;
  if (typeof candidate !== "object" || candidate === null || !isProcessorLike(candidate)) {
    const names = Object.keys(module).join(", ") || "nothing";
    throw new UsageError(
      `${file} has no processor as its default export; it exports ${names}. Expected: export default defineProcessor({ slug, initialState, reduce }).`,
    );
  }
  const { slug, startFrom } = candidate as Record<string, unknown>;
  return {
    ...(isSlug(slug) ? { slug } : {}),
    ...(isPlace(startFrom) ? { startFrom } : {}),
  };
}

/** With the author's line, which the source map gives beside the file that was imported. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const line = /millrace-processor-[^/\\]+[/\\](.+?:\d+:\d+)\)?$/m.exec(error.stack ?? "")?.[1];
  return `${error.name}: ${error.message}${line === undefined ? "" : ` (${line})`}`;
}

/** `cloudflare:` modules, and names that Node does not have. */
function needsSandbox(error: unknown): boolean {
  const { code, name } = error as NodeJS.ErrnoException;
  return (
    code === "ERR_UNSUPPORTED_ESM_URL_SCHEME" || code === "ERR_UNKNOWN_BUILTIN_MODULE" || name === "ReferenceError"
  );
}

const isProcessorLike = (value: object): boolean =>
  "reduce" in value || "afterAppend" in value || "afterCatchUp" in value;

const isSlug = (value: unknown): value is string =>
  typeof value === "string" && value !== "" && value.length <= slugCharactersMax;

function isPlace(value: unknown): value is "start" | "end" | number {
  return value === "start" || value === "end" || (Number.isSafeInteger(value) && (value as number) >= 0);
}
