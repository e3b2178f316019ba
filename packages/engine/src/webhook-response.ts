/**
 * What a POST is answered with where the stream says so: the first rule that matches the stored event. Nothing is kept
 * waiting for long, and whatever goes wrong, the usual answer is given.
 */
import { isUnderPrefix } from "@millrace/protocol";
import { webhookResponses } from "./builtin/webhook-responses.ts";
import type { Clock } from "./ports/clock.ts";
import type { Expressions, Rule } from "./ports/expressions.ts";
import { decodeRecord, typeOfRecord } from "./record.ts";
import { sliceOf } from "./state.ts";
import type { Appended, Stream } from "./stream.ts";

/** All rules together, so that also the first one, for which a process has to start, is in time. */
const responseMs = 2_000;

const configuredType = "https://events.iterate.com/events/stream/webhook-response-configured";
/** What a third party sends is seldom an event. */
const invalidType = "https://events.iterate.com/events/stream/invalid-event-appended";

/** JSON text: what is to be answered. */
export type WebhookResponse = string;

export interface WebhookResponses {
  /** Undefined at once where there is nothing to evaluate, which is nearly everywhere. */
  answerTo(stream: Stream, appended: Appended): Promise<WebhookResponse | undefined> | undefined;
}

export function createWebhookResponses(expressions: Expressions, clock: Clock): WebhookResponses {
  /** By the list in the state, which changes with every configuration. */
  const loaded = new WeakMap<object, Promise<Rule[]>>();
  /** Settled when nothing of the stream is evaluated any more. */
  const turns = new WeakMap<Stream, Promise<unknown>>();

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
    stream: Stream,
    { offset, record }: Appended,
    isLate: IsLate,
  ): Promise<WebhookResponse | undefined> {
    try {
      let input: string | undefined;
      for (const rule of await rules) {
        if (isLate()) return undefined;
        input ??= JSON.stringify(decodeRecord(stream.path, offset, record));
        const evaluated = await expressions.evaluate(rule, input);
        if (evaluated.matched) return evaluated.result;
      }
    } catch {
      // The usual answer; a sender is no place for the faults of a rule.
    }
    return undefined;
  }

  /** One at a time: a rule that never ends takes a process each time, and other streams have to come to theirs. */
  function inTurn<Value>(stream: Stream, act: () => Promise<Value>): Promise<Value> {
    const turn = (turns.get(stream) ?? Promise.resolve()).then(act);
    turns.set(stream, turn);
    return turn;
  }

  return {
    answerTo(stream, appended) {
      const type = typeOfRecord(appended.record);
      const isOwn = isUnderPrefix(type) && type !== invalidType;
      if (isOwn && type !== configuredType) return undefined;
      const rules = rulesOf(stream);
      if (rules === undefined) return undefined;
      const answer = inTime(clock, (isLate) => inTurn(stream, () => evaluate(rules, stream, appended, isLate)));
      // A configuration is answered as usual, and evaluated so that a process is there when the first webhook comes.
      return isOwn ? undefined : answer;
    },
  };
}

async function ruleAt(stream: Stream, offset: number): Promise<Rule> {
  const { records } = await stream.log.read({ after: offset - 1, through: offset, maxEvents: 1, maxBytes: 1 });
  const event = decodeRecord(stream.path, offset, records[0] as string);
  const { matcher, response } = event.payload as { matcher: string; response: string };
  return { matcher, transform: response };
}

/** Whether nobody waits for the answer any more. */
type IsLate = () => boolean;

async function inTime<Value>(clock: Clock, ask: (isLate: IsLate) => Promise<Value>): Promise<Value | undefined> {
  let late = false;
  let cancel = () => {};
  const over = new Promise<undefined>((resolve) => {
    cancel = clock.setTimer(responseMs, () => {
      late = true;
      resolve(undefined);
    });
  });
  const first = await Promise.race([ask(() => late), over]);
  cancel();
  return first;
}
