/** `secrets.json`: how entries are written, and everything that can be wrong with them when they are read again. */
import { readFileSync } from "node:fs";
import { DataFault, explainDataFault } from "../data-fault.ts";
import { boundTo, type SealedSecret } from "./kept-secrets.ts";
import type { Vault } from "./vault.ts";

export interface SecretsFile {
  /** Of the key with which the values are sealed. */
  check: string;
  secrets: SealedSecret[];
}

const version = 1;
const wayOut = "Restore it from a copy, or move it away: then every secret has to be set again.";

export function toFileText({ check, secrets }: SecretsFile): string {
  const lines = secrets.map((secret) => `  ${JSON.stringify(secret)}`);
  return `{"version":${version},"check":${JSON.stringify(check)},"secrets":[\n${lines.join(",\n")}\n]}\n`;
}

/** Undefined where there is none. @throws DataFault */
export function readSecretsFile(directory: string, file: string): SecretsFile | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code !== "EACCES" && code !== "EPERM") throw explainDataFault(error, directory, file);
    throw new DataFault(`${file} cannot be read (${message}). Make it the file of the user who runs the server.`);
  }
  return parse(text, file);
}

/** Every entry is opened once, so that what was changed by another hand is found now and not when it is needed. */
export function checkSeals({ secrets }: SecretsFile, vault: Vault, file: string): void {
  for (const secret of secrets) {
    try {
      vault.open(boundTo(secret), secret.sealed);
    } catch {
      throw new DataFault(
        `The secret ${JSON.stringify(secret.name)} of project ${JSON.stringify(secret.project)} in ${file} is damaged, or was changed by another hand. Restore the file from a copy, or take out that entry and set the secret again.`,
      );
    }
  }
}

function parse(text: string, file: string): SecretsFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw damaged(file, "it is no JSON");
  }
  if (!isObject(value) || typeof value.version !== "number") throw damaged(file, "it has no version");
  if (value.version !== version) {
    throw new DataFault(
      `${file} is of version ${value.version}; this Millrace reads version ${version}. Use the Millrace that wrote it.`,
    );
  }
  const { check, secrets } = value;
  if (typeof check !== "string" || !Array.isArray(secrets)) throw damaged(file, "it has no check or no secrets");
  const broken = secrets.findIndex((secret) => !isSealedSecret(secret));
  if (broken >= 0) throw damaged(file, `entry ${broken + 1} is no secret`);
  const names = secrets.map(({ project, name }) => JSON.stringify([project, name]));
  if (new Set(names).size < names.length) throw damaged(file, "it has two secrets of one name");
  return { check, secrets };
}

function isSealedSecret(value: unknown): value is SealedSecret {
  if (!isObject(value)) return false;
  const { hosts, description } = value;
  const texts = [value.project, value.name, value.createdAt, value.updatedAt, value.sealed];
  return (
    texts.every((text) => typeof text === "string") &&
    Array.isArray(hosts) &&
    hosts.every((host) => typeof host === "string") &&
    (description === undefined || typeof description === "string")
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function damaged(file: string, what: string): DataFault {
  return new DataFault(`${file} is damaged: ${what}. ${wayOut}`);
}
