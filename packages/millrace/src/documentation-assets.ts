/** The files of Swagger UI, from the package's own directory: read when they are first asked for, then kept. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Assets } from "@millrace/http";
import absolutePath from "swagger-ui-dist/absolute-path.js";

export function createDocumentationAssets(): Assets {
  const kept = new Map<string, Promise<Uint8Array>>();
  return async (name) => {
    try {
      const reading = kept.get(name) ?? readFile(path.join(absolutePath(), path.basename(name)));
      kept.set(name, reading);
      return await reading;
    } catch {
      kept.delete(name);
      return undefined;
    }
  };
}
