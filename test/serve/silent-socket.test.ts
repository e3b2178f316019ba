/** A connection that never says anything, as browsers and clients open in advance, does not hold up the end. */
import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { startServer } from "../processes/server-process.ts";

test("a socket that never sends a byte does not delay a clean stop", async () => {
  const server = await startServer({ data: ":memory:" });
  const socket = connect(server.port, "127.0.0.1");
  await once(socket, "connect");
  socket.on("error", () => {});
  const begun = performance.now();
  const { code } = await server.stop("SIGTERM");
  expect(code).toBe(0);
  expect(performance.now() - begun).toBeLessThan(5_000);
  socket.destroy();
});
