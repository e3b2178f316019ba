/** Files that authors write, in a directory that is gone after the test. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { onTestFinished } from "vitest";
import { temporaryDirectory } from "../processes/server-process.ts";

/** Writes files, by their names, and gives the path of one. */
export function written(files: Record<string, string>): (name: string) => string {
  const { directory, remove } = temporaryDirectory();
  onTestFinished(remove);
  const at = (name: string) => path.join(directory, name);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(at(name)), { recursive: true });
    writeFileSync(at(name), text);
  }
  return at;
}

/** Answers each ping with a pong; 13 is bad luck, and "broken" nothing that it can fold. */
export const pingPong = `import { defineProcessor } from "@millrace/sdk/processor";
import { unlucky } from "./luck.ts";

interface State {
  pings: number;
}

export default defineProcessor<State>({
  slug: "ping-pong",
  initialState: { pings: 0 },
  reduce({ state, event }) {
    if (event.type === "broken") throw new RangeError("cannot be folded");
    return event.type === "ping" ? { pings: state.pings + 1 } : undefined;
  },
  async afterAppend({ event, state, append, env, logger }) {
    if (event.type !== "ping") return;
    const { n } = event.payload as { n: number };
    unlucky(n);
    logger.info("answering", { who: env.WHO });
    await append({ type: "pong", payload: { n, count: state.pings } });
  },
});
`;

export const luck = `export function unlucky(n: number): void {
  // The line of the next one is what its author has to be told.
  if (n === 13) throw new TypeError("bad luck");
}
`;
