/** What makes two pieces of running code the same: they may share an isolate, and with it their module scope. */
import { createHash } from "node:crypto";
import type { SandboxCode } from "@millrace/engine";

export function identityOf(code: SandboxCode): string {
  const {
    project,
    modules,
    main,
    env,
    limits = {},
    compatibilityDate = "",
    compatibilityFlags = [],
    fixedHeader = [],
  } = code;
  const parts = [
    project,
    sorted(modules),
    main,
    sorted(env),
    sorted(limits),
    compatibilityDate,
    compatibilityFlags,
    fixedHeader,
  ];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

function sorted(record: object): [string, unknown][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}
