/** Secrets that end with the process, as everything with `--data :memory:` does. The key is one of chance. */
import type { Clock, Secrets } from "@millrace/engine";
import { defaultLimits, type Limits } from "@millrace/protocol";
import { systemClock } from "../system.ts";
import { createKeptSecrets } from "./kept-secrets.ts";
import { createVault, randomKey } from "./vault.ts";

export interface MemorySecretsOptions {
  limits?: Partial<Limits>;
  clock?: Pick<Clock, "now">;
}

export function createMemorySecrets({ limits = {}, clock = systemClock }: MemorySecretsOptions = {}): Secrets {
  const vault = createVault(randomKey());
  return createKeptSecrets({
    entries: [],
    vault: async () => vault,
    save: async () => {},
    limits: { ...defaultLimits, ...limits },
    clock,
  });
}
