/** The configuration of a sandbox process: one trusted worker that loads isolates, and one way out. */
import type { WorkerModules } from "./worker-modules.ts";
import { defaultCompatibilityDate } from "./workerd-binary.ts";

/** Of each isolate, megabytes. Beyond it the process ends. */
const heapMb = 128;

/** @param memoryMb of code that has the process for itself: of all its objects, the young and the forgotten included */
export function processConfig(directory: string, memoryMb?: number): string {
  const heap = memoryMb === undefined ? `--max-old-space-size=${heapMb}` : `--max-heap-size=${memoryMb}`;
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  v8Flags = [ "${heap}" ],
  services = [
    (name = "runner", worker = .runner),
    (name = "egress", external = (address = "unix:${directory}/egress.sock", http = (style = proxy))),
    (name = "internet", network = (allow = [])),
  ],
  sockets = [ (name = "http", address = "unix:${directory}/http.sock", http = (), service = "runner") ],
);
const runner :Workerd.Worker = (
  modules = [ (name = "runner.js", esModule = embed "runner.js") ],
  compatibilityDate = "${defaultCompatibilityDate}",
  bindings = [ (name = "LOADER", workerLoader = ()), (name = "EGRESS", service = "egress") ],
  globalOutbound = "egress",
);
`;
}

export function processFiles(directory: string, modules: WorkerModules, memoryMb?: number): Record<string, string> {
  return { "config.capnp": processConfig(directory, memoryMb), "runner.js": modules.runner };
}
