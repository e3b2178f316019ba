/** Timers of a host may fire a moment before the wall clock has come there: another attempt is made all the same. */
import { createEventsClient, runProcessor, type StreamEvent } from "@millrace/sdk/processor";
import { serve } from "millrace";
import { expect, test } from "vitest";

const earlyMs = 5;
const clock = {
  now: () => Date.now(),
  elapsedMs: () => performance.now(),
  setTimer(delayMs: number, run: () => void) {
    const timer = setTimeout(run, Math.max(delayMs - earlyMs, 0));
    return () => clearTimeout(timer);
  },
};

test("a hook that fails is called again by a timer that fires early", async () => {
  const onFatal = (message: string) => {
    throw new Error(message);
  };
  const server = await serve({ port: 0, host: "127.0.0.1", data: ":memory:", onFatal });
  const client = createEventsClient({ baseUrl: server.url });
  const attempts: number[] = [];
  const processor = {
    slug: "early",
    initialState: null,
    reduce: () => undefined,
    afterAppend({ event, attempt }: { event: StreamEvent; attempt: number }) {
      if (event.type !== "try") return;
      attempts.push(attempt);
      if (attempt === 1) throw new Error("not yet");
    },
  };
  await client.append("/early", { type: "begun" });
  const run = runProcessor({ client, processor, path: "/early", clock });
  await run.ready;
  await client.append("/early", { type: "try" });
  await expect.poll(() => attempts, { timeout: 8_000 }).toEqual([1, 2]);
  await run.stop();
  await server.close();
});
