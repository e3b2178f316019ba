/** How subscriptions, transformers and processors stand in a table, and what to do about those that are halted. Pure. */
import type { ConsumerState } from "@millrace/sdk";
import type { Configured, Subscription, Transformer } from "./consumer-list.ts";
import { escapeControls } from "./escape-controls.ts";
import type { DeployedProcessor } from "./processor-list.ts";
import { tableOf, timeCell } from "./table.ts";

/** What is longer would push everything else off the screen; `--json` has it whole. */
const expressionCharactersShown = 40;
const parkedShown = 10;

export function subscriptionLines(subscriptions: readonly Subscription[]): string[] {
  const head = ["SLUG", "KIND", "TO", ...progressHead.slice(0, -1), "PARKED", "LAST ERROR"];
  const rows = subscriptions.map(({ slug, configuration, consumer, parked }) => {
    const { type, callbackUrl, path } = configuration;
    const progress = progressCells(consumer, false);
    return [
      slug,
      type,
      callbackUrl ?? path ?? "-",
      ...progress.slice(0, -1),
      parkedCell(parked),
      ...progress.slice(-1),
    ];
  });
  return [...tableOf([head, ...rows]), ...subscriptions.flatMap(haltLines)];
}

/** @param paused transformers of a paused stream wait; subscriptions go on */
export function transformerLines(transformers: readonly Transformer[], paused: boolean): string[] {
  const head = ["SLUG", "MATCHER", "TRANSFORM", ...progressHead];
  const rows = transformers.map(({ slug, configuration, consumer }) => [
    slug,
    shortened(configuration.matcher),
    shortened(configuration.transform),
    ...progressCells(consumer, paused),
  ]);
  return [...tableOf([head, ...rows]), ...transformers.flatMap(haltLines)];
}

/** @param withPath they are of several streams */
export function processorLines(processors: readonly DeployedProcessor[], withPath: boolean): string[] {
  const head = [...(withPath ? ["PATH"] : []), "SLUG", "VERSION", "BYTES", ...progressHead];
  const rows = processors.map(({ path, slug, offset, bytes, consumer }) => [
    ...(withPath ? [path] : []),
    slug,
    offset,
    bytes,
    ...progressCells(consumer, false),
  ]);
  return [...tableOf([head, ...rows]), ...processors.flatMap(haltLines)];
}

const progressHead = ["CURSOR", "LAG", "STATUS", "NEXT ATTEMPT", "LAST ERROR"];

function progressCells(consumer: ConsumerState | undefined, paused: boolean): (string | number)[] {
  if (consumer === undefined) return ["-", "-", "not running", "-", "-"];
  const { cursor, lag, halted, lastError, nextAttemptAt } = consumer;
  const next = nextAttemptAt === undefined ? "-" : timeCell(nextAttemptAt);
  return [cursor, lag, statusOf(consumer, paused), next, halted?.message ?? lastError ?? "-"];
}

function statusOf({ halted, lastError }: ConsumerState, paused: boolean): string {
  if (halted !== undefined) return `halted at ${halted.offset}`;
  if (paused) return "paused";
  return lastError === undefined ? "running" : "retrying";
}

/** Such as `2: 12, 14`. */
function parkedCell(parked: Subscription["parked"]): string {
  if (parked.length === 0) return "-";
  const shown = parked.slice(0, parkedShown).map(({ offset }) => offset);
  return `${parked.length}: ${shown.join(", ")}${parked.length > parkedShown ? ", ..." : ""}`;
}

function haltLines({ path, slug, consumer }: Configured<unknown>): string[] {
  if (consumer?.halted === undefined) return [];
  const resume = `millrace resume ${shellWord(path)} --slug ${shellWord(slug)}`;
  return [escapeControls(`"${slug}" is halted at ${consumer.halted.offset}. To go on: ${resume}`)];
}

/** A word as a shell takes it back. */
export function shellWord(word: string): string {
  return /^[\w/.:@+=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function shortened(expression: string): string {
  const line = expression.replaceAll(/\s+/g, " ").trim();
  return line.length <= expressionCharactersShown ? line : `${line.slice(0, expressionCharactersShown - 1)}…`;
}
