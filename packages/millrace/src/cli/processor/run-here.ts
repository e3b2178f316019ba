/** Runs the processor of a file until it is told to stop; with `watch` the newest version of the file, each in turn. */
import type { EventsClient } from "@millrace/sdk";
import { type ProcessorRun, type RunOptions, runProcessor } from "@millrace/sdk/processor";
import { note } from "../output.ts";
import { createBundler } from "./bundle.ts";
import type { CursorsOf } from "./cursors-of.ts";
import { createLines } from "./lines.ts";
import { type Loaded, loadBuilt, loadProcessor } from "./load.ts";
import { createNarrator } from "./narrator.ts";
import { refolding } from "./refolding.ts";
import { stopSignal } from "./stop-signal.ts";

export interface RunHere {
  file: string;
  path: string;
  includeChildren: boolean;
  cursors: CursorsOf;
  startFrom: "start" | "end" | number | undefined;
  env: Record<string, string>;
  json: boolean | undefined;
  watch: boolean;
}

/** Resolves with the exit code. Rejects when the file cannot be run, or going on makes no sense. */
export async function runHere(client: EventsClient, here: RunHere): Promise<number> {
  const stopping = stopSignal();
  const stage = createStage(client, here);
  if (!here.watch) {
    await stage.show(await loadProcessor(here.file));
    return stage.until(stopping);
  }
  const bundler = await createBundler(here.file);
  let showing: Promise<void> = Promise.resolve();
  await bundler.watch((built) => {
    // One after the other: a version that is no longer the newest is replaced as well.
    showing = showing
      .then(async () => stage.show(await loadBuilt(here.file, built)))
      .catch((error: Error) => note(`${error.message}\nWaiting for a change of ${here.file}.`));
  });
  try {
    return await stage.until(stopping);
  } finally {
    await bundler.close();
  }
}

interface Stage {
  /** In place of what runs. */
  show(loaded: Loaded): Promise<void>;
  /** Ends what runs when it is time. */
  until(stopping: Promise<number>): Promise<number>;
}

function createStage(client: EventsClient, here: RunHere): Stage {
  const lines = createLines(here.json);
  let loaded: Loaded | undefined;
  let running: ProcessorRun | undefined;
  let wasReady = false;
  let lastFailure: string | undefined;
  let fail: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  const narrator = createNarrator(lines.tell, sayFailure, () => loaded?.files ?? new Set());

  /** Each once, however often it is tried. */
  function sayFailure(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (message !== lastFailure) note(`${message.replace(/[.]?$/, ".")} Trying again.`);
    lastFailure = message;
  }

  function begin({ processor }: Loaded, again: boolean): ProcessorRun {
    const { path, includeChildren, env, startFrom } = here;
    const cursors = here.cursors(client, processor.slug);
    const options: RunOptions = {
      client,
      path,
      includeChildren,
      env,
      cursors: again ? refolding(cursors) : cursors,
      logger: lines.logger,
      observer: narrator,
      processor: narrator.listening({
        ...processor,
        ...(startFrom === undefined ? {} : { startFrom }),
        // Nobody was away: what came while one version took the place of another is acted on, and so is what was born.
        ...(again ? { catchUp: "act", startFrom: "start" } : {}),
      }),
    };
    return runProcessor(options);
  }

  async function sayReady(run: ProcessorRun, again: boolean): Promise<void> {
    await run.ready;
    if (run !== running) return;
    wasReady = true;
    const streams = run.paths().length;
    const met = streams === 1 ? "1 stream" : `${streams} streams`;
    note(`${loaded?.processor.slug} ${again ? "runs in a new version" : `runs on ${here.path}`} (${met} so far)`);
  }

  return {
    async show(next) {
      await running?.stop();
      narrator.end();
      const again = wasReady;
      loaded = next;
      const run = begin(next, again);
      running = run;
      run.done.catch(fail);
      void sayReady(run, again);
    },
    async until(stopping) {
      const code = await Promise.race([stopping, failed]);
      await running?.stop();
      narrator.end();
      return code;
    },
  };
}
