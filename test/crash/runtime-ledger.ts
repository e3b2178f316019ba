/**
 * What holds of a processor on a stream, however often it and the server were killed.
 *
 * With decisions: each input was acted on, or lies in the `missed` of exactly one decision, and none was forgotten. A
 * decision is one or more calls of `afterCatchUp`: what is killed before its return is on disk is asked again, from the
 * same `after`, up to what is there by then. So calls overlap only within a decision; decisions are disjoint, and each
 * appended once, under the keys of its first call. What was acted on within the second before a kill, in which nothing
 * was saved, is missed too; what a decision has named is never acted on after it.
 *
 * With `catchUp: "act"` each input was acted on, in order, at least once.
 */
import { isDeepStrictEqual } from "node:util";
import type { StreamEvent } from "@millrace/protocol";
import { builtin } from "../processes/http.ts";
import type { Note } from "./runtime.ts";

export interface Tally {
  acted: number;
  actedAgain: number;
  missed: number;
  actedAndMissed: number;
  decisions: number;
  decisionsAgain: number;
}

export interface RuntimeLog {
  path: string;
  slug: string;
  events: StreamEvent[];
  /** Of all streams, since it must be known when a process began. */
  notes: Note[];
}

type Range = { after: number; through: number };

interface Call extends Range {
  /** Which process it was. */
  run: number;
  /** Its place among the notes. */
  at: number;
  returned: boolean;
}

export function verifyActing(log: RuntimeLog, tally: Tally): void {
  const { events } = log;
  const inputs = offsetsOf(events, "input");
  const causes = causesOf(log, "output");
  if (causes.join() !== inputs.join()) throw wrong(log, `inputs at ${inputs}, outputs for ${causes}`);
  const firsts = [...new Set(actingOf(log).map(({ offset }) => offset))];
  if (firsts.join() !== inputs.join()) throw wrong(log, `inputs at ${inputs}, acted on in the order ${firsts}`);
  if (log.notes.some(({ deciding }) => deciding?.missed !== undefined)) throw wrong(log, "something was missed");
  verifyOrder(log);
  verifyStates(log);
  tally.acted += inputs.length;
  tally.actedAgain += actingOf(log).length - inputs.length;
}

export function verifyDeciding(log: RuntimeLog, tally: Tally): void {
  const decisions = decisionsOf(log);
  const causes = causesOf(log, "output");
  if (new Set(causes).size !== causes.length) throw wrong(log, `outputs for ${causes}`);
  for (const offset of offsetsOf(log.events, "input")) {
    const named = decisions.filter((calls) => lies(offset, calls.at(-1) as Call));
    const acted = causes.includes(offset);
    if (named.length > 1) throw wrong(log, `${offset} was missed in ${named.length} decisions`);
    if (named.length === 0 && !acted) throw wrong(log, `${offset} was forgotten`);
    tally.acted += acted ? 1 : 0;
    tally.missed += named.length;
    tally.actedAndMissed += acted && named.length > 0 ? 1 : 0;
  }
  for (const { offset, at } of actingOf(log)) {
    const before = decisions.flat().find((call) => call.at < at && lies(offset, call));
    if (before !== undefined) throw wrong(log, `${offset} was acted on after it was missed`);
  }
  verifyDecisions(log, decisions);
  verifyOrder(log);
  verifyStates(log);
  tally.decisions += decisions.length;
  tally.decisionsAgain += decisions.filter(({ length }) => length > 1).length;
}

/** Calls of `afterCatchUp` in which something was missed, by decision. */
function decisionsOf(log: RuntimeLog): Call[][] {
  const decisions: Call[][] = [];
  for (const call of callsOf(log)) {
    const last = decisions.at(-1)?.at(-1);
    const shown = `${JSON.stringify(last)} and ${JSON.stringify(call)}`;
    if (last === undefined || call.after >= last.through) {
      if (last?.returned === false) throw wrong(log, `a decision was not asked for again: ${shown}`);
      decisions.push([call]);
    } else {
      // The same again: the process that was asked before is no more.
      if (call.after !== last.after || call.through < last.through || call.run === last.run) throw wrong(log, shown);
      decisions.at(-1)?.push(call);
    }
  }
  const open = decisions.at(-1)?.at(-1);
  if (open?.returned === false) throw wrong(log, `a decision did not return: ${JSON.stringify(open)}`);
  return decisions;
}

function callsOf({ path, notes }: RuntimeLog): Call[] {
  const calls: Call[] = [];
  let run = 0;
  for (const [at, note] of notes.entries()) {
    if (note.began !== undefined) run++;
    if (note.path !== path) continue;
    const last = calls.at(-1);
    if (note.deciding?.missed !== undefined) calls.push({ ...note.deciding.missed, run, at, returned: false });
    if (note.decided?.missed !== undefined && last?.run === run) last.returned = true;
  }
  return calls;
}

/** Each has appended once, what its first call that came so far saw. */
function verifyDecisions(log: RuntimeLog, decisions: Call[][]): void {
  const appended = ownOf(log, "decided").map(({ payload }) => payload as { missed: Range; state: unknown });
  const isOf = (calls: Call[]) => (missed: Range) => calls.some((call) => sameRange(call, missed));
  for (const [index, calls] of decisions.entries()) {
    if (!appended[index] || !isOf(calls)(appended[index].missed)) {
      throw wrong(log, `a decision on ${JSON.stringify(calls)} appended ${JSON.stringify(appended[index])}`);
    }
  }
  if (appended.length !== decisions.length)
    throw wrong(log, `${decisions.length} decisions, ${appended.length} appends`);
  for (const { missed, state } of appended) expectFold(log, state, missed.through);
}

/** A process acts on a stream in order. Only the next one may begin earlier. */
function verifyOrder(log: RuntimeLog): void {
  let last: { offset: number; run: number } | undefined;
  for (const acting of actingOf(log)) {
    if (last?.run === acting.run && acting.offset <= last.offset) {
      throw wrong(log, `${acting.offset} was acted on behind ${last.offset}`);
    }
    last = acting;
  }
}

function actingOf({ path, notes }: RuntimeLog): { offset: number; run: number; at: number }[] {
  const acting: { offset: number; run: number; at: number }[] = [];
  let run = 0;
  for (const [at, note] of notes.entries()) {
    if (note.began !== undefined) run++;
    if (note.path === path && note.acting !== undefined) acting.push({ offset: note.acting, run, at });
  }
  return acting;
}

/** Whatever it said of its state is what a fresh fold gives. No kill is a failure, and no successor a rival. */
function verifyStates(log: RuntimeLog): void {
  const error = log.events.find(({ type }) => type === builtin("error-occurred"));
  if (error !== undefined) throw wrong(log, JSON.stringify(error));
  for (const type of ["output", "reported"]) {
    for (const { payload, source } of ownOf(log, type)) {
      expectFold(log, (payload as { state: unknown }).state, source?.cause?.offset as number);
    }
  }
}

function expectFold(log: RuntimeLog, state: unknown, through: number): void {
  const inputs = log.events.filter(({ type, offset }) => type === "input" && offset <= through);
  const sum = inputs.reduce((total, { payload }) => total + (payload as { number: number }).number, 0);
  const folded = { inputs: inputs.length, sum };
  if (!isDeepStrictEqual(state, folded)) {
    throw wrong(
      log,
      `its state at ${through} is ${JSON.stringify(state)}, a fresh fold gives ${JSON.stringify(folded)}`,
    );
  }
}

const sameRange = (a: Range, b: Range) => a.after === b.after && a.through === b.through;
const lies = (offset: number, { after, through }: Range) => after < offset && offset <= through;
const offsetsOf = (events: StreamEvent[], type: string) =>
  events.filter((event) => event.type === type).map(({ offset }) => offset);
const ownOf = ({ events, slug }: RuntimeLog, type: string) =>
  events.filter((event) => event.type === type && event.source?.slug === slug);
const causesOf = (log: RuntimeLog, type: string) =>
  ownOf(log, type).map(({ source }) => source?.cause?.offset as number);

function wrong({ path, slug }: RuntimeLog, what: string): Error {
  return new Error(`${slug} on ${path}: ${what}`);
}
