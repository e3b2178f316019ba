/** What the sandbox itself brings stays an import: `cloudflare:*`, `node:*`, and Node's modules by their old names. */
import { isBuiltin } from "node:module";
import type { Plugin } from "esbuild";

const required = "required-platform-module";

export const platformModules: Plugin = {
  name: "platform-modules",
  setup(build) {
    build.onResolve({ filter: /^[a-z]/ }, ({ path: name, kind, namespace, pluginData }) => {
      if (kind === "entry-point" || !(/^(cloudflare|node):/.test(name) || isBuiltin(name))) return undefined;
      const path = name.includes(":") ? name : `node:${name}`;
      // An ES module has no `require`: what a CommonJS package asks for is imported for it.
      if (kind === "require-call" && namespace !== required) return { path, namespace: required, pluginData };
      return { path, external: true };
    });
    build.onLoad({ filter: /.*/, namespace: required }, ({ path }) => ({
      contents: `import all from ${JSON.stringify(path)};\nmodule.exports = all;\n`,
      loader: "js",
    }));
  },
};
