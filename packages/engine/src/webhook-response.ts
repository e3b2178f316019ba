/**
 * What a POST is answered with where the stream says so: the first rule that matches the stored event. Nothing is kept
 * waiting for long, and whatever goes wrong, the usual answer is given.
 */
import { isUnderPrefix, type StreamEvent } from "@millrace/protocol";
import { webhookResponses } from "./builtin/webhook-responses.ts";
import type { Clock } from "./ports/clock.ts";
import type { Expressions, Rule } from "./ports/expressions.ts";
import { decodeRecord, typeOfRecord } from "./record.ts";
import { sliceOf } from "./state.ts";
import type { Appended, Stream } from "./stream.ts";

/** All rules together, so that also the first one, for which a process has to start, is in time. */
const responseMs = 1_000;
/** Posts that wait for an expression; who comes when there are more has the usual answer, and nobody's queue grows. */
const askingMax = 64;
/** As which bodies of other systems are stored. */
const invalidType = "https://events.iterate.com/events/stream/invalid-event-appended";

export interface WebhookResponses {
  /** JSON text: what is to be answered. Undefined at once where there is nothing to evaluate, which is nearly everywhere. */
  answerTo(stream: Stream, appended: Appended): Promise<string | undefined> | undefined;
}

export function createWebhookResponses(expressions: Expressions, clock: Clock): WebhookResponses {
  /** By the list in the state, which changes with every configuration. */
  const loaded = new WeakMap<object, Promise<Rule[]>>();
  let asking = 0;

  function rulesOf(stream: Stream): Promise<Rule[]> | undefined {
    const { rules } = sliceOf(stream.slices, webhookResponses);
    if (rules.length === 0) return undefined;
    const known = loaded.get(rules) ?? Promise.all(rules.map(({ configuredAt }) => ruleAt(stream, configuredAt)));
    loaded.set(rules, known);
    known.catch(() => loaded.delete(rules));
    return known;
  }

  async function evaluate(
    rules: Promise<Rule[]>,
    event: StreamEvent,
    isLate: () => boolean,
  ): Promise<string | undefined> {
    const input = JSON.stringify(event);
    asking++;
    try {
      for (const rule of await rules) {
        if (isLate()) break;
        const evaluated = await expressions.evaluate(rule, input);
        if (evaluated.matched) return evaluated.result;
      }
    } catch {
      // The usual answer says nothing of rules.
    } finally {
      asking--;
    }
    return undefined;
  }

  return {
    answerTo(stream, { offset, record }) {
      const rules = rulesOf(stream);
      if (rules === undefined || asking >= askingMax || !isNews(typeOfRecord(record))) return undefined;
      const event = decodeRecord(stream.path, offset, record);
      return inTime((isLate) => evaluate(rules, event, isLate), clock);
    },
  };
}

/** Not what configures or stops a stream: whoever does that has to see what became of it, and a secret is shown once. */
function isNews(type: string): boolean {
  return !isUnderPrefix(type) || type === invalidType;
}

async function ruleAt(stream: Stream, offset: number): Promise<Rule> {
  const { records } = await stream.log.read({ after: offset - 1, through: offset, maxEvents: 1, maxBytes: 1 });
  const event = decodeRecord(stream.path, offset, records[0] as string);
  const { matcher, response } = event.payload as { matcher: string; response: string };
  return { matcher, transform: response };
}

async function inTime<Value>(
  answer: (isLate: () => boolean) => Promise<Value>,
  clock: Clock,
): Promise<Value | undefined> {
  let cancel = () => {};
  let isLate = false;
  const late = new Promise<undefined>((resolve) => {
    cancel = clock.setTimer(responseMs, () => {
      isLate = true;
      resolve(undefined);
    });
  });
  const first = await Promise.race([answer(() => isLate), late]);
  cancel();
  return first;
}
