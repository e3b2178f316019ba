/** Directories for tests of secrets, and a server's secrets in them. */
import path from "node:path";
import type { Secrets } from "@millrace/engine";
import { createFileSecrets } from "millrace";
import { onTestFinished } from "vitest";
import { temporaryDirectory } from "../../../test/processes/server-process.ts";

export const url = "https://api.example.com/v1";
export const hosts: string[] = ["api.example.com"];
export const someKey = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

export interface Place {
  directory: string;
  file: string;
  keyFile: string;
  open(key?: string): Secrets;
}

export function place(): Place {
  const { directory, remove } = temporaryDirectory();
  onTestFinished(remove);
  const file = path.join(directory, "secrets.json");
  const keyFile = path.join(directory, "secrets.key");
  return {
    directory,
    file,
    keyFile,
    open: (key) => createFileSecrets({ directory, ...(key === undefined ? {} : { key }) }),
  };
}

/** With two secrets in it, of a server that has ended. */
export async function filled(key?: string): Promise<Place> {
  const at = place();
  const secrets = at.open(key);
  await secrets.set("public", { name: "A", value: "value-of-A", hosts });
  await secrets.set("public", { name: "B", value: "value-of-B", hosts: ["b.example"] });
  return at;
}
