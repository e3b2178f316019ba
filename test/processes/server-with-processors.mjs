/**
 * A server whose processors are in this file: what `millrace serve` does, with consumers. Plain JavaScript, because it
 * runs in a process of its own over the built packages. Arguments as of `millrace serve`, as far as they are needed.
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { processorKind } from "@millrace/engine";
import { serve } from "millrace";

/** What an event asks for is done to the letter: slow, failing, with work that goes on behind it. */
const worker = {
  slug: "worker",
  initialState: { pings: 0 },
  reduce: ({ state, event }) => (event.type === "ping" ? { pings: state.pings + 1 } : state),

  async afterAppend({ event, attempt, state, append, waitUntil }) {
    if (event.type !== "ping") return;
    const { offset, payload, streamPath } = event;
    const { failsOnce, slowMs, workMs } = payload;
    if (slowMs > 0) await delay(slowMs);
    if (failsOnce && attempt === 1) throw new Error("as it was asked to");
    await append({ type: "pong", payload: { ping: offset, pings: state.pings } });
    if (slowMs > 0) await delay(slowMs);
    await append({ path: payload.tell, event: { type: "told", payload: { of: streamPath, ping: offset } } });
    if (workMs === 0) return;
    waitUntil(`work ${offset}`, async (work) => {
      await delay(workMs);
      await work.append({ type: "work-completed", payload: { ping: offset } });
    });
  },

  async afterCatchUp({ append, interrupted }) {
    for (const { offset } of interrupted?.work ?? []) {
      await append({ type: "work-interrupted", payload: { ping: offset } });
    }
  },
};

const { values } = parseArgs({
  options: { port: { type: "string" }, data: { type: "string" }, "log-level": { type: "string", multiple: true } },
  allowPositionals: true,
});
const complain = (error) => process.stderr.write(`${error?.stack ?? error}\n`);
const server = await serve({
  port: Number(values.port),
  host: "127.0.0.1",
  data: values.data,
  consumers: [processorKind(async () => worker)],
  onFault: complain,
  onFatal(message) {
    complain(message);
    process.exit(1);
  },
});
process.once("SIGTERM", () => server.close().then(() => process.exit(0)));
process.stdout.write(`listening on ${server.url}\n`);
