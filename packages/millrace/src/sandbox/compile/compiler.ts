/** The main thread of a compiler's process: one job at a time, and it may be killed at any of them. */
import { type Bundled, bundleModules, type ModulesToBundle } from "./bundle-modules.ts";

export type FromCompiler = "ready" | { done: Bundled };

// These reach every process of a terminal or a service; when to end is the server's to say, which then hangs up.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
process.on("disconnect", endAll);
if (!process.connected) endAll();
process.on("message", async (job: ModulesToBundle) => tell({ done: await bundleModules(job) }));
tell("ready");

function tell(message: FromCompiler): void {
  // Without a callback a channel that has just closed is an uncaught exception.
  process.send?.(message, undefined, {}, () => {});
}

/** Together with esbuild, which may be busy for long: both are of one group. */
function endAll(): void {
  try {
    process.kill(-process.pid, "SIGKILL");
  } catch {
    process.exit();
  }
}
