/** Bun: `PORT=8080 bun examples/hosts/bun.mjs`. */
import { hook } from "./hook.mjs";

const server = Bun.serve({ hostname: "127.0.0.1", port: process.env.PORT, fetch: hook });
console.log(`listening on http://127.0.0.1:${server.port}`);
