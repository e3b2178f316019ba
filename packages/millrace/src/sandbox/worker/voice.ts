/**
 * What the code says by `logger` and `console`, on its way out of the isolate. So many lines are under way at once; what
 * an endless loop says beyond that is counted, so that it fills no memory.
 */
import { boundedDetails, boundedMessage } from "@millrace/engine";
import type { Logger } from "@millrace/protocol";

/** Of one delivery: as many as may be said at once. */
const underWayMax = 100;
const loadedMax = 100;

/** Of one delivery. */
export interface Voice {
  readonly logger: Logger;
  /** Says how many lines were left out here. */
  end(): void;
}

type Say = (level: string, message: string | number, details?: unknown) => void;

export function createVoice(underWay: ReadonlySet<unknown>, say: Say): Voice {
  let leftOut = 0;
  const log = (level: string) => (message: string, details?: unknown) => {
    if (underWay.size >= underWayMax) {
      leftOut++;
      return;
    }
    tellLeftOut();
    say(level, boundedMessage(message), boundedDetails(details));
  };
  function tellLeftOut(): void {
    if (leftOut > 0) say("left-out", leftOut);
    leftOut = 0;
  }
  return {
    logger: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
    end: tellLeftOut,
  };
}

const methods = [
  ["debug", "debug"],
  ["log", "info"],
  ["info", "info"],
  ["warn", "warn"],
  ["error", "error"],
] as const;

/**
 * What is said outside of all deliveries is said while the code is loaded: it waits for the first delivery. Returns how
 * to tell it to that one.
 */
export function hearConsole(voiceNow: () => Voice | undefined): (voice: Voice) => void {
  let loading: [keyof Logger, string][] = [];
  for (const [method, level] of methods) {
    console[method] = (...said: unknown[]) => {
      const voice = voiceNow();
      if (voice !== undefined) voice.logger[level](said.map(textOf).join(" "));
      else if (loading.length < loadedMax) loading.push([level, boundedMessage(said.map(textOf).join(" "))]);
    };
  }
  return ({ logger }) => {
    for (const [level, message] of loading) logger[level](`while it was loaded: ${message}`);
    loading = [];
  };
}

function textOf(said: unknown): string {
  if (typeof said === "string") return said;
  if (said instanceof Error) return said.stack ?? said.message;
  const details = boundedDetails(said);
  return typeof details === "string" ? details : (JSON.stringify(details) ?? String(said));
}
