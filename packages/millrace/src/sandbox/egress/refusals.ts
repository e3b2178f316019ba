/** What the gate refuses is answered to the code, and told once for each call. */
import type { IncomingMessage } from "node:http";
import { answerOf, EgressRefusal, type OwnAnswer, toRefusal } from "./refusal.ts";
import { callerOf } from "./request-head.ts";

/** Calls of which it is known that a refusal was told. */
const toldCallsMax = 1_000;

export interface RefusalListeners {
  refused(call: string | undefined, message: string, isolate: string | undefined): void;
  /** Hears of what should not happen. */
  onFault(error: unknown): void;
}

/** @returns the answer that the gate gives itself */
export type Refuse = (incoming: IncomingMessage, error: unknown) => OwnAnswer;

export function createRefusals({ refused, onFault }: RefusalListeners): Refuse {
  const told = new Set<string>();

  function tell({ call, isolate }: ReturnType<typeof callerOf>, message: string): void {
    const caller = `${isolate} ${call}`;
    if (call !== undefined && told.has(caller)) return;
    if (call !== undefined) told.add(caller);
    const [oldest] = told;
    if (told.size > toldCallsMax) told.delete(oldest as string);
    refused(call, message, isolate);
  }

  function judged(error: unknown): EgressRefusal {
    try {
      return toRefusal(error);
    } catch {
      onFault(error);
      return new EgressRefusal("unreachable", "The request could not be sent.");
    }
  }

  return (incoming, error) => {
    const refusal = judged(error);
    if (refusal.isRefusal) tell(callerOf(incoming), `${nameOf(incoming)} was refused: ${refusal.message}`);
    return answerOf(refusal);
  };
}

/** A URL may hold what nobody should read. */
function nameOf({ method, url = "" }: IncomingMessage): string {
  const isWhole = /^https?:/i.test(url) && URL.canParse(url);
  return `A request of the code, ${method}${isWhole ? ` to ${new URL(url).origin}` : ""},`;
}
