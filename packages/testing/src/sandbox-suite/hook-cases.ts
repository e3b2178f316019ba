/** Hooks are called with what they need, and what they ask for is done by the host. */

import type { SandboxResult } from "@millrace/engine";
import { StreamError } from "@millrace/protocol";
import { check, checkEqual } from "../check.ts";
import {
  acting,
  adding,
  afterAppend,
  delivery,
  eventAt,
  eventsAt,
  load,
  recordCalls,
  type SandboxCase,
  stateIn,
} from "./sandbox-case.ts";

const one = { given: '{"count":0}', events: eventsAt(1), call: afterAppend };

type HookFailure = Extract<SandboxResult, { is: "hook-failed" }>;

const refusal = () => new StreamError("stream_paused", "The stream is paused.", { pausedPath: "/other" } as never);

export const hookCases: readonly SandboxCase[] = [
  {
    name: "afterAppend is called for the last event, over the state behind it",
    async run(fixture) {
      const loaded = await load(fixture, adding);
      const { calls, appended } = recordCalls();
      await loaded.deliver(delivery({ given: '{"sum":0}', events: eventsAt(1, 2, 3), call: afterAppend }), calls);
      checkEqual(appended, [{ input: { type: "summed", payload: { sum: 6, of: 3, attempt: 1 } } }], "appended");
    },
  },
  {
    name: "another attempt for an event that is folded folds it not again",
    async run(fixture) {
      const loaded = await load(fixture, adding);
      const { calls, appended } = recordCalls();
      await loaded.deliver(delivery({ given: '{"sum":0}', events: eventsAt(1, 2) }), calls);
      const call = { hook: "afterAppend", attempt: 3, event: eventAt(2) } as const;
      const result = await loaded.deliver(delivery({ base: 2, call, wantState: true }), calls);
      checkEqual(stateIn(result), { sum: 3 }, "state");
      checkEqual(appended, [{ input: { type: "summed", payload: { sum: 3, of: 2, attempt: 3 } } }], "appended");
    },
  },
  {
    name: "afterCatchUp hears what was missed and what was interrupted",
    async run(fixture) {
      const source = acting(
        "",
        'async afterCatchUp({ streamPath, state, missed, interrupted, append, waitUntil }) { await append({ type: "heard", payload: { streamPath, state, missed, interrupted, can: typeof waitUntil } }); },',
      );
      const loaded = await load(fixture, source);
      const { calls, appended } = recordCalls();
      const missed = { after: 3, through: 9 };
      const interrupted = { offset: 3, work: [{ name: "answer", offset: 2 }] };
      const call = { hook: "afterCatchUp", streamPath: "/s", missed, interrupted } as const;
      await loaded.deliver(delivery({ base: 9, given: '{"count":9}', call }), calls);
      const payload = { streamPath: "/s", state: { count: 9 }, missed, interrupted, can: "function" };
      checkEqual(appended, [{ input: { type: "heard", payload } }], "appended");
    },
  },
  {
    name: "a hook that a processor does not have is not called, and nothing fails",
    async run(fixture) {
      const loaded = await load(fixture, 'export default { slug: "x" };');
      const { calls } = recordCalls();
      checkEqual((await loaded.deliver(delivery({ ...one, given: "{}" }), calls)).is, "done", "afterAppend");
      const call = { hook: "afterCatchUp", streamPath: "/s" } as const;
      checkEqual((await loaded.deliver(delivery({ base: 1, call }), calls)).is, "done", "afterCatchUp");
    },
  },
  {
    name: "an append goes to the host as it was written, and resolves with what was stored",
    async run(fixture) {
      const source = acting(`const stored = await append({ path: "./b", event: { type: "a", payload: { text: "é" } } });
        await append({ type: "stored", payload: stored });`);
      const loaded = await load(fixture, source);
      const { calls, appended } = recordCalls();
      await loaded.deliver(delivery(one), calls);
      const [first, second] = appended.map(({ input }) => input) as [unknown, { payload: object }];
      checkEqual(first, { path: "./b", event: { type: "a", payload: { text: "é" } } }, "the first");
      checkEqual(second.payload, { ...eventAt(101, "a"), payload: { text: "é" } }, "what the first resolved with");
    },
  },
  {
    name: "a refusal reaches the code with its code and data",
    async run(fixture) {
      const source = acting(`await append({ type: "never" }).catch(({ name, message, code, data }) =>
        logger.info(JSON.stringify({ name, message, code, data })));`);
      const loaded = await load(fixture, source);
      const { calls, logged } = recordCalls({ append: () => Promise.reject(refusal()) });
      checkEqual((await loaded.deliver(delivery(one), calls)).is, "done", "the hook");
      const { code, data, message } = refusal();
      checkEqual(JSON.parse(logged[0]?.[1] ?? "0"), { name: "StreamError", message, code, data }, "the refusal");
    },
  },
  {
    name: "a refusal that a hook lets through comes back with its code and data",
    async run(fixture) {
      const loaded = await load(fixture, acting('await append({ type: "never" });'));
      const { calls } = recordCalls({ append: () => Promise.reject(refusal()) });
      const { is, error } = (await loaded.deliver(delivery(one), calls)) as HookFailure;
      checkEqual(is, "hook-failed", "answer");
      checkEqual([error.name, error.code, error.data], ["StreamError", "stream_paused", refusal().data], "error");
    },
  },
  {
    name: "an append that nobody waited for is waited for, and its failure is the hook's",
    async run(fixture) {
      const loaded = await load(fixture, acting('append({ type: "a" });'));
      const { calls, appended } = recordCalls();
      checkEqual((await loaded.deliver(delivery(one), calls)).is, "done", "answer");
      checkEqual(appended.length, 1, "appended");
      let asked: () => void = () => {};
      const asking = new Promise<void>((resolve) => (asked = resolve));
      let refuse: () => void = () => {};
      const refusing = recordCalls({
        append() {
          asked();
          return new Promise((_, reject) => (refuse = () => reject(refusal())));
        },
      });
      const failing = loaded.deliver(delivery({ base: 1, events: eventsAt(2), call: afterAppend }), refusing.calls);
      await asking;
      // By then the hook has returned.
      await loaded.deliver(delivery({ state: "another", given: '{"count":0}' }), calls);
      refuse();
      const failed = await failing;
      checkEqual([failed.is, (failed as HookFailure).error?.code], ["hook-failed", "stream_paused"], "answer");
    },
  },
  {
    name: "a hook that throws says what and where, and what was folded stays folded",
    async run(fixture) {
      const loaded = await load(fixture, acting('if (event.offset === 1) throw new RangeError("not yet");'));
      const { calls } = recordCalls();
      const { is, error } = (await loaded.deliver(delivery(one), calls)) as HookFailure;
      checkEqual([is, error.name, error.message], ["hook-failed", "RangeError", "not yet"], "answer");
      check(/^\s*at /m.test(error.stack ?? ""), "it says in which line");
      const next = await loaded.deliver(delivery({ base: 1, events: eventsAt(2), wantState: true }), calls);
      checkEqual(stateIn(next), { count: 2 }, "state");
    },
  },
  {
    name: "a hook may throw anything",
    async run(fixture) {
      const loaded = await load(fixture, acting("throw event.offset === 1 ? 7 : undefined;"));
      const { calls } = recordCalls();
      const messages = [];
      for (const offset of [1, 2]) {
        const given = offset === 1 ? { given: '{"count":0}' } : {};
        const events = eventsAt(offset);
        const result = await loaded.deliver(delivery({ base: offset - 1, ...given, events, call: afterAppend }), calls);
        messages.push((result as HookFailure).error.message);
      }
      checkEqual(messages, ["threw 7", "threw undefined"], "messages");
    },
  },
  {
    name: "a signal reaches the hook, with its reason",
    async run(fixture) {
      const source = acting(`await append({ type: "begun" });
        await aborted(signal);
        await append({ type: "ended", payload: signal.reason.message });`);
      const loaded = await load(fixture, source);
      const { calls, appended, until, controller } = recordCalls();
      const delivering = loaded.deliver(delivery(one), calls);
      await until(1);
      controller.abort(new Error("The stream was paused."));
      checkEqual((await delivering).is, "done", "answer");
      checkEqual(appended[1]?.input, { type: "ended", payload: "The stream was paused." }, "what it saw");
    },
  },
  {
    name: "what is logged goes to the host's logger",
    async run(fixture) {
      const levels = ["debug", "info", "warn", "error"];
      const loaded = await load(
        fixture,
        acting(`for (const level of ${JSON.stringify(levels)}) logger[level]("é " + level);
        await append({ type: "done" });`),
      );
      const { calls, logged } = recordCalls();
      await loaded.deliver(delivery(one), calls);
      checkEqual(
        logged,
        levels.map((level) => [level, `é ${level}`]),
        "logged",
      );
    },
  },
  {
    name: "a hook that waits holds up no other state",
    async run(fixture) {
      const loaded = await load(fixture, acting('await append({ type: "a" });'));
      let answer: (error: Error) => void = () => {};
      const waiting = recordCalls({ append: () => new Promise((_, reject) => (answer = reject)) });
      const delivering = loaded.deliver(delivery(one), waiting.calls);
      const { calls, appended } = recordCalls();
      await loaded.deliver(delivery({ ...one, state: "another" }), calls);
      checkEqual(appended.length, 1, "the other hook is over");
      answer(refusal());
      checkEqual((await delivering).is, "hook-failed", "the one that waited");
    },
  },
];
