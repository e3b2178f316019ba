/** Isolates are bounded: the one that was not used for longest is unloaded, and comes back when it is needed. */
import { noCalls, type SandboxDelivery, type SandboxedProcessor, type SandboxResult } from "@millrace/engine";
import { expect, test } from "vitest";
import { startSandbox } from "./sandboxes.ts";

/** Of one isolate alone. */
function narrowSandbox() {
  const faults: string[] = [];
  const { sandbox } = startSandbox({ isolatesMax: 1, onFault: ({ message }) => void faults.push(message) });
  const load = (step: number): Promise<SandboxedProcessor> => {
    const script = `export default { initialState: { n: 0 }, reduce: ({ state }) => ({ n: state.n + ${step} }) };`;
    const code = { project: "suite", modules: { "processor.js": script }, main: "processor.js", env: {} };
    return sandbox.load(code, { path: "/s", slug: `by ${step}`, configuredAt: step, epoch: step });
  };
  return { load, faults, sandbox };
}

/** What was used a moment ago is not unloaded for another: so long, and a little. */
const cooled = () => new Promise((resolve) => setTimeout(resolve, 150));

const event = (offset: number) =>
  ({ type: "any", payload: {}, streamPath: "/s", offset, createdAt: "2026-01-01T00:00:00.000Z" }) as const;

const fold = (
  loaded: SandboxedProcessor,
  base: number,
  given: Pick<SandboxDelivery, "given"> = {},
): Promise<SandboxResult> =>
  loaded.deliver({ state: "one", base, ...given, events: [event(base + 1)], wantState: true }, noCalls);

test("one that was unloaded for another has lost its state, says so, and goes on from what it is given", async () => {
  const { load, faults, sandbox } = narrowSandbox();
  const one = await load(1);
  expect(await fold(one, 0, { given: '{"n":0}' })).toMatchObject({ is: "done", state: '{"n":1}' });
  await cooled();
  const ten = await load(10);
  expect(await fold(ten, 0, { given: '{"n":0}' })).toMatchObject({ is: "done", state: '{"n":10}' });
  for (let base = 1; base <= 3; base++) {
    for (const [loaded, step] of [
      [one, 1],
      [ten, 10],
    ] as const) {
      await cooled();
      expect(await fold(loaded, base)).toEqual({ is: "state-missing" });
      const given = JSON.stringify({ n: base * step });
      expect(await fold(loaded, base, { given })).toMatchObject({ state: JSON.stringify({ n: (base + 1) * step }) });
    }
  }
  expect(sandbox.pids).toHaveLength(1);
  expect(faults).toEqual([]);
});
