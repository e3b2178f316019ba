/**
 * What may stand in the log of a stream that a ping-pong processor serves, whatever happened to it: the pings are
 * counted without loss or doubling, and each is answered at most once: by a pong of its own, or by one for what was
 * missed.
 */
import type { StreamEvent } from "@millrace/protocol";
import { expect } from "vitest";

export interface Pong {
  n: unknown;
  count: number;
  missed?: { after: number; through: number };
}

export const pongsOf = (events: StreamEvent[]): Pong[] =>
  events.filter(({ type }) => type === "pong").map(({ payload }) => payload as unknown as Pong);

/** How many pongs each ping has, by its offset. */
export function judge(events: StreamEvent[]): Map<number, number> {
  const pings = events.filter(({ type }) => type === "ping").map(({ offset }) => offset);
  const answers = new Map(pings.map((offset) => [offset, 0]));
  for (const pong of events.filter(({ type }) => type === "pong")) {
    const { n, count, missed } = pong.payload as unknown as Pong;
    const through = missed?.through ?? causeOf(pong);
    const known = pings.filter((offset) => offset <= through);
    expect({ pong: pong.offset, count }).toEqual({ pong: pong.offset, count: known.length });
    expect(n).toEqual(payloadAt(events, known.at(-1) as number).n);
    for (const offset of known) {
      if (missed === undefined ? offset !== through : offset <= missed.after) continue;
      answers.set(offset, (answers.get(offset) as number) + 1);
    }
  }
  return answers;
}

/** Every ping, none of them twice. */
export function expectOneAnswerEach(events: StreamEvent[], pings: number): void {
  const answers = judge(events);
  expect(answers.size).toBe(pings);
  expect([...answers].filter(([, count]) => count !== 1)).toEqual([]);
}

function causeOf(event: StreamEvent): number {
  const { source } = event as { source?: { cause?: { offset: number } } };
  expect(source?.cause, `the cause of ${event.offset}`).toBeDefined();
  return source?.cause?.offset as number;
}

function payloadAt(events: StreamEvent[], offset: number): { n: unknown } {
  return events.find((event) => event.offset === offset)?.payload as { n: unknown };
}
