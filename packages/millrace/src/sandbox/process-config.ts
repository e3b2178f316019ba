/** The configuration of a sandbox process: one trusted worker that loads isolates, and one way out. */
import type { WorkerModules } from "./worker-modules.ts";
import { defaultCompatibilityDate } from "./workerd-binary.ts";

/** Of each isolate, megabytes. Beyond it the process ends. */
const heapMb = 128;

export function processConfig(directory: string): string {
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  v8Flags = [ "--max-old-space-size=${heapMb}" ],
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

export function processFiles(directory: string, modules: WorkerModules): Record<string, string> {
  return { "config.capnp": processConfig(directory), "runner.js": modules.runner };
}
