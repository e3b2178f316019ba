/** Isolates are bounded: the one that was not used for longest is unloaded, and comes back when it is needed. */
import { createServer } from "node:net";
import type { SandboxCalls, SandboxDelivery, SandboxedProcessor, SandboxResult } from "@millrace/engine";
import { expect, onTestFinished, test } from "vitest";
import { createWorkerdSandbox } from "../dist/sandbox/workerd-sandbox.js";

const quiet: SandboxCalls = {
  append: () => Promise.reject(new Error("nothing is appended")),
  signal: new AbortController().signal,
  abort: () => {},
  logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  waitUntil: () => undefined,
  refused: () => {},
};

/** Of one isolate alone. */
function narrowSandbox() {
  const faults: string[] = [];
  const sandbox = createWorkerdSandbox({
    compile: async ({ modules }) => ({ script: Object.values(modules)[0] as string, locate: (error) => error }),
    // Nothing leaves here.
    async listen(_project, socketPath) {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(socketPath, resolve));
      return { close: () => new Promise((resolve) => server.close(() => resolve())) };
    },
    isolatesMax: 1,
    onFault: ({ message }) => void faults.push(message),
  });
  onTestFinished(() => sandbox.close());
  const load = (step: number): Promise<SandboxedProcessor> =>
    sandbox.load(
      {
        project: "suite",
        modules: {
          "processor.js": `export default { initialState: { n: 0 }, reduce: ({ state }) => ({ n: state.n + ${step} }) };`,
        },
        main: "processor.js",
        env: {},
      },
      { path: "/s", slug: `by ${step}`, configuredAt: step, epoch: step },
    );
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
  loaded.deliver({ state: "one", base, ...given, events: [event(base + 1)], wantState: true }, quiet);

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
