/**
 * What the first process of a server needs, done once while the server has nothing else to do: nothing starts, and
 * the first deployment is there some milliseconds sooner.
 */
import { join } from "node:path";
import { openLine } from "./line.ts";
import { workerModules } from "./worker-modules.ts";
import { workerdBinaryIfThere } from "./workerd-binary.ts";

const afterMs = 50;

/** Returns how to take it back. */
export function warmUpSoon(): () => void {
  const timer = setTimeout(() => {
    if (workerdBinaryIfThere() === undefined) return;
    // The code of a connection is compiled when the first is opened, wherever that leads.
    void openLine(join(import.meta.dirname, "nowhere"), () => {}).catch(() => {});
    void workerModules().catch(() => {});
  }, afterMs);
  timer.unref();
  return () => clearTimeout(timer);
}
