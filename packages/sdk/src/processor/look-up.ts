/** What is there: the streams that a processor is to run on, each with its life and whether it is paused. */
import type { EventsClient } from "../client.ts";
import { isMillraceError } from "../errors.ts";
import { retrying, toRetry } from "../retry.ts";
import type { Matching } from "./matching.ts";
import { createTurns } from "./turns.ts";

export interface FoundStream {
  path: string;
  streamId: string;
  head: number;
  paused: boolean;
}

const statesAtOnce = 16;
const forEver = toRetry({ attempts: Number.POSITIVE_INFINITY });

/** Goes on for as long as the server cannot be reached: it was there when this was asked for. */
export function findStreams(
  client: EventsClient,
  matching: Matching,
  signal: AbortSignal,
  onFailure: (error: unknown) => void,
): Promise<FoundStream[]> {
  return retrying(forEver, signal, async () => {
    try {
      const paths = await pathsOf(client, matching, signal);
      const turns = createTurns(statesAtOnce);
      const states = await Promise.all(paths.map((path) => turns(() => stateOf(client, path, signal), signal)));
      return states.flatMap((state) => state ?? []);
    } catch (error) {
      if (!signal.aborted) onFailure(error);
      throw error;
    }
  });
}

async function pathsOf(client: EventsClient, matching: Matching, signal: AbortSignal): Promise<string[]> {
  const { root, includeChildren, matches } = matching;
  if (!includeChildren) return [root];
  const paths: string[] = [];
  for await (const { path } of client.streams({ prefix: root, signal })) if (matches(path)) paths.push(path);
  return paths;
}

async function stateOf(client: EventsClient, path: string, signal: AbortSignal): Promise<FoundStream | undefined> {
  try {
    const { streamId, head, paused } = await client.state(path, { signal });
    return { path, streamId, head, paused };
  } catch (error) {
    // Nothing is there yet, or any more.
    if (isMillraceError(error, "not_found")) return undefined;
    throw error;
  }
}
