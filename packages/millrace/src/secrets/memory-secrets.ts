/** Secrets that end with the process, as everything with `--data :memory:` does. The key is one of chance. */
import type { Clock } from "@millrace/engine";
import { defaultLimits, type Limits } from "@millrace/protocol";
import { systemClock } from "../system.ts";
import { createKeptSecrets, type KeptSecrets } from "./kept-secrets.ts";
import { createVault, randomKey } from "./vault.ts";

export interface MemorySecretsOptions {
  limits?: Partial<Limits>;
  clock?: Pick<Clock, "now">;
}

export function createMemorySecrets({ limits = {}, clock = systemClock }: MemorySecretsOptions = {}): KeptSecrets {
  const vault = createVault(randomKey());
  return createKeptSecrets({
    entries: [],
    vault: async () => vault,
    save: async () => {},
    limits: { ...defaultLimits, ...limits },
    clock,
  });
}
