/**
 * Secrets beside the data: `secrets.json` holds them sealed, `secrets.key` the key, unless that comes from the
 * environment. Who opens this holds the lock of the directory, so nobody else writes there.
 */
import path from "node:path";
import type { Clock } from "@millrace/engine";
import { defaultLimits, type Limits } from "@millrace/protocol";
import { DataFault, explainDataFault } from "../data-fault.ts";
import { systemClock } from "../system.ts";
import { createKeptSecrets, type KeptSecrets } from "./kept-secrets.ts";
import { makeKeyFile, readKeyFile } from "./key-file.ts";
import { checkSeals, readSecretsFile, type SecretsFile, toFileText } from "./secrets-file.ts";
import { createVault, parseKey, type Vault } from "./vault.ts";
import { writeWhole } from "./write-whole.ts";

export interface FileSecretsOptions {
  /** The data directory; it is there, and locked. */
  directory: string;
  /** Instead of `secrets.key`: 32 bytes as 64 hex characters or base64. */
  key?: string;
  limits?: Partial<Limits>;
  clock?: Pick<Clock, "now">;
}

/** @throws DataFault that names the file and the way out, when key and secrets cannot be used together */
export function createFileSecrets(options: FileSecretsOptions): KeptSecrets {
  const { directory, key, limits = {}, clock = systemClock } = options;
  const file = path.join(directory, "secrets.json");
  const keyFile = path.join(directory, "secrets.key");
  const given = key === undefined ? readKeyFile(directory, keyFile) : keyOfEnvironment(key);
  const found = readSecretsFile(directory, file);
  let vault = given === undefined ? undefined : createVault(given);
  if (found !== undefined) checkTogether(found, vault, file, keyFile, key !== undefined);
  let isWritten = found !== undefined;
  let preparing: Promise<Vault> | undefined;

  /**
   * The key, and the file that tells it from another one: made before the first use, because what is derived from a key
   * is lost with it like what is sealed.
   */
  async function prepare(): Promise<Vault> {
    vault ??= createVault(readKeyFile(directory, keyFile) ?? (await makeKeyFile(keyFile)));
    if (!isWritten) await writeWhole(file, toFileText({ check: vault.check, secrets: [] }));
    isWritten = true;
    return vault;
  }

  function ready(): Promise<Vault> {
    preparing ??= prepare().catch((error: unknown) => {
      preparing = undefined;
      throw explainDataFault(error, directory, file);
    });
    return preparing;
  }

  return createKeptSecrets({
    entries: found?.secrets ?? [],
    vault: ready,
    save: (secrets, { check }) => writeWhole(file, toFileText({ check, secrets: [...secrets] })),
    limits: { ...defaultLimits, ...limits },
    clock,
  });
}

function keyOfEnvironment(text: string): Buffer {
  const key = parseKey(text);
  if (key !== undefined) return key;
  throw new DataFault(
    "MILLRACE_SECRETS_KEY is a key of 32 bytes, as 64 hex characters or as base64; it is something else. Make one with: openssl rand -hex 32",
  );
}

function checkTogether(
  found: SecretsFile,
  vault: Vault | undefined,
  file: string,
  keyFile: string,
  isFromEnvironment: boolean,
): void {
  const wayOut = `Without it move ${file} away: then every secret has to be set again, and signing secrets that the server made are others.`;
  if (vault === undefined) {
    throw new DataFault(
      `${keyFile} is missing, and ${file} was sealed with it. Restore it from a copy, or give the key in MILLRACE_SECRETS_KEY. ${wayOut}`,
    );
  }
  if (vault.check !== found.check) {
    const used = isFromEnvironment ? "that of MILLRACE_SECRETS_KEY" : `that in ${keyFile}`;
    throw new DataFault(`${file} was sealed with another key than ${used}. Restore the right one. ${wayOut}`);
  }
  checkSeals(found, vault, file);
}
