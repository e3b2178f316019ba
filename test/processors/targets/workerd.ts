/** The runtime of Cloudflare Workers on loopback: a module, bundled as for an upload, is a service there. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { build, type Plugin } from "esbuild";
import { type Exit, spawnProgram, temporaryDirectory } from "../../processes/server-process.ts";

export interface RunningWorker {
  url: string;
  stop(): Promise<Exit>;
}

/** Where the program is, or why there is none: its packages are for few platforms. */
export function findWorkerd(): { program: string } | { missing: string } {
  try {
    return { program: (createRequire(import.meta.url)("workerd") as { default: string }).default };
  } catch (error) {
    return { missing: `the package workerd has no program for this platform (${(error as Error).message})` };
  }
}

/**
 * @param variables what the Worker finds in its `env`
 * @param pong stands in for `pong.mjs`, the processor of the examples
 */
export async function startWorker(
  program: string,
  entry: string,
  variables: Record<string, string>,
  pong?: string,
): Promise<RunningWorker> {
  const { directory, remove } = temporaryDirectory();
  const replaced: Plugin = {
    name: "processor",
    setup: ({ onResolve }) => onResolve({ filter: /\/pong\.mjs$/ }, () => (pong === undefined ? null : { path: pong })),
  };
  await build({
    entryPoints: [entry],
    outfile: path.join(directory, "worker.js"),
    bundle: true,
    format: "esm",
    platform: "browser",
    conditions: ["workerd", "worker"],
    plugins: [replaced],
    logLevel: "silent",
  });
  const file = path.join(directory, "worker.capnp");
  writeFileSync(file, configuration(variables));
  const running = spawnProgram(program, ["serve", "--control-fd=1", file]);
  const { child, exited, output } = running;
  const ended = exited.then(({ code, stderr }) => {
    throw new Error(`workerd ended before it listened (code ${code}): ${stderr.slice(-2_000)}`);
  });
  await Promise.race([once(child.stdout as NodeJS.ReadableStream, "data"), ended]);
  ended.catch(() => {});
  const { port } = JSON.parse(output().stdout) as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      // Told to end, it would wait for the WebSocket that the server keeps open.
      child.kill("SIGKILL");
      const exit = await exited;
      remove();
      return exit;
    },
  };
}

/** Reaches this machine: the server is on it. */
function configuration(variables: Record<string, string>): string {
  const bindings = Object.entries(variables).map(
    ([name, text]) => `(name = "${name}", text = ${JSON.stringify(text)})`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [ (name = "main", worker = .main), (name = "internet", network = (allow = ["local", "private"])) ],
  sockets = [ (name = "http", address = "127.0.0.1:0", http = (), service = "main") ],
);
const main :Workerd.Worker = (
  modules = [ (name = "worker.js", esModule = embed "worker.js") ],
  compatibilityDate = "2026-10-01",
  bindings = [ ${bindings.join(", ")} ],
);
`;
}
