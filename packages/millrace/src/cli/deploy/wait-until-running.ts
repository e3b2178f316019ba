/** After a deployment: does it run? The server is asked for its state, which has to load the code and fold the history. */
import { type EventsClient, isMillraceError, type StreamState } from "@millrace/sdk";
import { consumerOf } from "../consumer-list.ts";

export type Outcome = { status: "running" } | { status: "halted" | "waiting" | "not-running"; message: string };

const pauseMs = 200;
/** What fails is tried again and again: after a while whoever waits is told why it does. */
const failingMs = 5_000;

/** @param version offset of the configuration */
export async function waitUntilRunning(
  client: EventsClient,
  { path, slug, version, patienceMs }: { path: string; slug: string; version: number; patienceMs: number },
): Promise<Outcome> {
  const began = Date.now();
  for (;;) {
    // The end of it may come just before the answer that says why it cannot be asked.
    const state = await stateOf(client, path, slug, version);
    const consumer = consumerOf((await client.state(path)).consumers, "processor", slug);
    if (consumer === undefined) {
      return { status: "not-running", message: "this server does not run deployed processors" };
    }
    const { halted, lastError } = consumer;
    if (halted !== undefined) return { status: "halted", message: `at offset ${halted.offset}: ${halted.message}` };
    if (state.folded) return { status: "running" };
    const waited = Date.now() - began;
    if (waited > (lastError === undefined ? patienceMs : failingMs))
      return { status: "waiting", message: lastError ?? state.message };
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** Another deployment of the slug meanwhile is none of ours, but one that runs. */
async function stateOf(
  client: EventsClient,
  path: StreamState["path"],
  processor: string,
  at: number,
): Promise<{ folded: true } | { folded: false; message: string }> {
  try {
    await client.state(path, { processor, at });
    return { folded: true };
  } catch (error) {
    if (!isMillraceError(error) || error.code === "unreachable") throw error;
    return { folded: false, message: error.message };
  }
}
