/** The registry of all built-in event types, and the one function that turns a short form into the stored type. */
import { builtinPrefix, type EventContract, shortPrefix } from "./contract.ts";
import { circuitBreakerContracts } from "./contracts/circuit-breaker.ts";
import { dynamicWorkerContracts } from "./contracts/dynamic-worker.ts";
import { faultContracts } from "./contracts/faults.ts";
import { htmlRendererContracts } from "./contracts/html-renderer.ts";
import { lifecycleContracts } from "./contracts/lifecycle.ts";
import { pauseContracts } from "./contracts/pause.ts";
import { scheduleContracts } from "./contracts/schedule.ts";
import { subscriptionContracts } from "./contracts/subscription.ts";
import { transformerContracts } from "./contracts/transformer.ts";
import { webhookResponseContracts } from "./contracts/webhook-response.ts";

export const contracts: readonly EventContract[] = [
  ...lifecycleContracts,
  ...faultContracts,
  ...pauseContracts,
  ...circuitBreakerContracts,
  ...scheduleContracts,
  ...transformerContracts,
  ...subscriptionContracts,
  ...dynamicWorkerContracts,
  ...webhookResponseContracts,
  ...htmlRendererContracts,
];

const byType = new Map(contracts.map((contract) => [contract.type, contract]));

const canonicalByAlias = new Map(
  contracts.flatMap(({ type, aliases }) => aliases.map((alias): [string, string] => [alias, type])),
);

/** The contract of a canonical type. */
export function contractFor(type: string): EventContract | undefined {
  return isUnderPrefix(type) ? byType.get(type) : undefined;
}

/** The type as it is stored: aliases of built-in types become those; every other string is returned unchanged. */
export function canonicalType(type: string): string {
  // Asked for every append: a plain word must not cost the hash of a look-up.
  if (!type.startsWith(shortPrefix)) return type;
  return canonicalByAlias.get(type) ?? type;
}

/** Whether the type stands where only built-in ones may. */
export function isUnderPrefix(type: string): boolean {
  return type.startsWith(builtinPrefix);
}
