/** A sandbox without a server: code that is taken as it is, nothing that leaves, and deliveries by hand. */
import { createServer } from "node:net";
import type { SandboxCode, SandboxDelivery } from "@millrace/engine";
import { onTestFinished } from "vitest";
import { createWorkerdSandbox, type WorkerdSandboxOptions } from "../dist/sandbox/workerd-sandbox.js";

export function startSandbox(options: Partial<WorkerdSandboxOptions> = {}) {
  const sandbox = createWorkerdSandbox({
    compile: async ({ modules, main }) => ({ script: modules[main] as string, locate: (error) => error }),
    async listen(_, socketPath) {
      const server = createServer((socket) => socket.destroy());
      await new Promise<void>((resolve) => server.listen(socketPath, resolve));
      return { close: () => new Promise<void>((resolve) => server.close(() => resolve())) };
    },
    onFault: () => {},
    ...options,
  });
  onTestFinished(() => sandbox.close());
  const load = (number: number, body = "", limits?: SandboxCode["limits"]) =>
    sandbox.load(
      { ...codeOf(number, body), ...(limits && { limits }) },
      { path: `/${number}`, slug: "code", epoch: 2, configuredAt: 2 },
    );
  return { sandbox, load };
}

const codeOf = (number: number, body: string): SandboxCode => ({
  project: "demo",
  main: "processor.js",
  modules: {
    "processor.js": `export default { initialState: { number: ${number}, counted: 0 },
      reduce: ({ state }) => ({ ...state, counted: state.counted + 1 }),
      async afterAppend({ event }) { ${body} } };`,
  },
  env: {},
});

export const event = { streamPath: "/x", offset: 1, type: "x", payload: {}, createdAt: "2026-11-21T00:00:00.000Z" };
export const delivery: SandboxDelivery = {
  state: "one",
  base: 0,
  given: '{"number":0,"counted":0}',
  events: [event as never],
  call: { hook: "afterAppend", attempt: 1 },
  wantState: true,
};
export const counted = { is: "done", state: '{"number":0,"counted":1}', passedOver: [] };
