/** A million streams, each touched once: what the server keeps of them in memory, and how fast they are born. */
import { appends, refuseErrors } from "../lib/appends.mjs";
import { memoryOf } from "../lib/machine.mjs";
import { headOf } from "../lib/millrace-client.mjs";
import { row } from "../lib/rows.mjs";

const parent = "agents";
const birthsPatienceMs = 120_000;

export const manyStreams = {
  name: "many-streams",
  what: "1 million streams touched once over 128 connections: peak memory of the server",
  async run(tools) {
    const count = tools.quick ? 100_000 : 1_000_000;
    const millrace = await tools.startMillrace();
    tools.progress(`touching ${count.toLocaleString("en")} streams`);
    const job = { streamPrefix: `${parent}/`, connections: 128, count, timeoutMs: 60_000 + count };
    const result = await appends(millrace, job);
    refuseErrors(result);
    const whileTouching = memoryOf(millrace.pid);
    tools.progress("waiting for the parent to hear of every birth");
    const births = await waitForBirths(millrace, count);
    const { now, peak } = memoryOf(millrace.pid);
    const rows = [
      row({
        what: "peak memory (RSS)",
        value: peak,
        unit: "MB",
        target: { atMost: 500 },
        note: `at the end ${Math.round(now)} MB`,
      }),
      row({
        what: "streams born",
        value: result.perSecond,
        unit: "/s",
        note: `all births announced ${births.seconds} s later`,
      }),
    ];
    return { rows, raw: { result, whileTouching, afterwards: { now, peak }, births } };
  },
};

/** The parent holds one event for each child, and its own first. */
async function waitForBirths({ port }, count) {
  const startedAt = performance.now();
  const elapsed = () => performance.now() - startedAt;
  let announced = 0;
  do {
    await new Promise((resolve) => setTimeout(resolve, 100));
    announced = (await headOf(port, parent)) - 1;
  } while (announced < count && elapsed() < birthsPatienceMs);
  if (announced !== count) throw new Error(`the parent heard of ${announced} births of ${count}`);
  return { announced, seconds: Math.round(elapsed() / 100) / 10 };
}
