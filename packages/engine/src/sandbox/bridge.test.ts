/** What a delivery asked for when it was interrupted is answered to nobody, and is kept by nobody. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test, vi } from "vitest";
import type { SandboxCalls } from "../ports/sandbox.ts";
import { createBridge } from "./bridge.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Whoever waits for the answer, such as the delivery with all its events. */
function interruptedAsker(): WeakRef<object> {
  const asker = { answers: [] as unknown[] };
  const append = () => new Promise<never>((_, reject) => setTimeout(() => reject(new Error("too late")), 1));
  const bridge = createBridge({ append } as unknown as SandboxCalls);
  void bridge.append({ type: "x" }).then((answer) => asker.answers.push(answer));
  bridge.interrupt("The sandbox ended.");
  return new WeakRef(asker);
}

test("who waits for the answer to an append that was interrupted is forgotten", async () => {
  const asker = interruptedAsker();
  await vi.waitFor(() => {
    collectGarbage();
    expect(asker.deref() === undefined).toBe(true);
  }, 5_000);
});
