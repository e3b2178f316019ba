/** The durable-streams reference server, file-backed in the directory that is its only argument. */
import { DurableStreamTestServer } from "@durable-streams/server";

const server = new DurableStreamTestServer({ port: 0, host: "127.0.0.1", dataDir: process.argv[2] });
const url = await server.start();
console.log(`listening on ${url}`);
process.on("SIGTERM", async () => {
  await server.stop();
  process.exit(0);
});
