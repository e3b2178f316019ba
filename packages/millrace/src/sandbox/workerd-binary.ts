/** Where the runtime of deployed code is. It is large and not everybody needs it, so it is an optional dependency. */
import { createRequire } from "node:module";
import { SandboxError } from "@millrace/engine";

export const workerdVersion = "1.20261023.1";
/** Not later than the runtime's own. */
export const defaultCompatibilityDate = "2026-10-01";

/** @throws SandboxError that names what to install */
export function workerdBinary(): string {
  const require = createRequire(import.meta.url);
  try {
    const found = require("workerd") as { default: string; version: string };
    return found.default;
  } catch (cause) {
    const install = `npm install workerd@${workerdVersion}`;
    const message = `Deployed processors run in workerd, which is not installed here. Install it (${install}), start the server again, and what waits goes on.`;
    throw Object.assign(new SandboxError("unavailable", message), { cause });
  }
}

export function workerdBinaryIfThere(): string | undefined {
  try {
    return workerdBinary();
  } catch {
    return undefined;
  }
}
