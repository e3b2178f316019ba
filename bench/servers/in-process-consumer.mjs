/**
 * A Millrace server in which every stream that a processor is deployed to has the same one, inside the server and with
 * no sandbox: `in-process-consumer.mjs <main.js> <data>`. It is what deployed code is measured beside.
 */
import { pathToFileURL } from "node:url";
import { pingPong } from "../lib/deployed.mjs";

const [main, data] = process.argv.slice(2);
const { serve } = await import(new URL("../index.js", pathToFileURL(main)).href);
const { processorKind } = await import(new URL("../../../engine/dist/index.js", pathToFileURL(main)).href);
const fail = (error) => {
  console.error(error);
  process.exit(1);
};
const { default: processor } = await import(`data:text/javascript,${encodeURIComponent(pingPong())}`);
const consumers = [processorKind(async () => processor)];
const options = { port: 0, host: "127.0.0.1", data, consumers, sandbox: false, onFault: fail, onFatal: fail };
const server = await serve(options);
process.once("SIGTERM", () => server.close().then(() => process.exit(0)));
console.log(`listening on ${server.url}`);
