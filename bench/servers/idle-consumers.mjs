/** A Millrace server with so many idle consumers on every stream: `idle-consumers.mjs <main.js> <data> <count>`. */
import { pathToFileURL } from "node:url";
import { idleKind } from "../lib/idle-consumers.mjs";

const [main, data, count] = process.argv.slice(2);
const { serve } = await import(new URL("../index.js", pathToFileURL(main)).href);
const fail = (error) => {
  console.error(error);
  process.exit(1);
};
const consumers = [idleKind(Number(count))];
const server = await serve({ port: 0, host: "127.0.0.1", data, consumers, onFault: fail, onFatal: fail });
process.once("SIGTERM", () => server.close().then(() => process.exit(0)));
console.log(`listening on ${server.url}`);
