/**
 * The main thread of a process that evaluates: takes batches, answers them. What it must not do is decide anything:
 * it may be killed between any two instructions, and whatever is not answered then is evaluated again elsewhere.
 */
import { Worker } from "node:worker_threads";
import { createRuleEvaluator } from "./evaluate-rule.ts";
import { type Answer, type FromProcess, fromSent, type Item, type ProcessSettings, type SentItem } from "./messages.ts";
import { sealLibrary } from "./seal-library.ts";
import { createTurnCells, createTurns } from "./turns.ts";
import type { WatchdogSettings } from "./watchdog.ts";

/** Answers do not wait longer for those behind them: a batch may hold slow items. */
const answerMs = 5;
/** Nor do they pile up: each may be as large as a result may be. */
const answerCharacters = 256 * 1024;

const { timeoutMs, resultBytesMax, parentId } = JSON.parse(process.argv[2] as string) as ProcessSettings;
const cells = createTurnCells();
const turns = createTurns(cells);
const evaluate = createRuleEvaluator({ resultBytesMax });

// These reach every process of a terminal or a service; when to end is the server's to say, which then hangs up.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
process.on("disconnect", () => process.exit());
// A server that died while this program was loaded has hung up already, and nobody was told.
if (!process.connected) process.exit();
// What an expression leaves behind when it fails may fail too; its answer was given.
process.on("unhandledRejection", () => {});
process.on("message", (items: SentItem[]) => void answerAll(fromSent(items)));

await sealLibrary();
const workerData: WatchdogSettings = { cells, timeoutMs, parentId };
const watchdog = new Worker(new URL("./watchdog.js", import.meta.url), { workerData });
for (const event of ["error", "exit"]) watchdog.on(event, () => process.exit(1));
watchdog.on("online", () => tell("ready"));

async function answerAll(items: readonly Item[]): Promise<void> {
  let answers: Answer[] = [];
  let characters = 0;
  let toldAt = performance.now();
  turns.begin();
  for (const [index, item] of items.entries()) {
    if (index > 0) turns.next();
    const answer = await evaluate(item);
    // Where one branch of an expression fails, the others go on. They are its own time, and not the next item's.
    if ("failed" in answer) await new Promise(setImmediate);
    answers.push(answer);
    characters += charactersOf(answer);
    if (performance.now() - toldAt < answerMs && characters < answerCharacters) continue;
    tell(answers);
    answers = [];
    characters = 0;
    toldAt = performance.now();
  }
  turns.end();
  if (answers.length > 0) tell(answers);
}

function charactersOf(answer: Answer): number {
  return "matched" in answer && answer.matched ? (answer.result?.length ?? 0) : 0;
}

function tell(message: FromProcess): void {
  // Without a callback a channel that has just closed is an uncaught exception.
  process.send?.(message, undefined, {}, () => {});
}
