/**
 * What the server and a process that evaluates say to each other. JSON, not a structured clone: what comes out of such a
 * process is read with the parser that reads requests. A process has one batch at a time, and answers it in order, in
 * one message or in several.
 */
import type { Evaluated, Rule } from "@millrace/engine";

export interface Item extends Rule {
  input: string;
}

/** An item as it is sent: many subscriptions ask about the same event, so what the item before has is left out. */
export interface SentItem extends Rule {
  input?: string;
}

export type Answer = Evaluated | { failed: string };

/** "ready" comes once and first. */
export type FromProcess = "ready" | Answer[];

/** The one argument of a process, as JSON. */
export interface ProcessSettings {
  timeoutMs: number;
  resultBytesMax: number;
  /** Whose end is this process's end too. */
  parentId: number;
}

/** Behind stdio and the IPC channel: where the watchdog writes which item of the batch it stopped, and nothing else. */
export const verdictDescriptor = 4;

export function toSent(items: readonly Item[]): SentItem[] {
  return items.map((item, index) => (item.input === items[index - 1]?.input ? withoutInput(item) : item));
}

function withoutInput({ input: _, ...rule }: Item): SentItem {
  return rule;
}

/** The items themselves are filled in: they were made for nobody else. */
export function fromSent(sent: SentItem[]): Item[] {
  let last = "";
  for (const item of sent) {
    item.input ??= last;
    last = item.input;
  }
  return sent as Item[];
}
