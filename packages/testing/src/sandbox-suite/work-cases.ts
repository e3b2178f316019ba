/** Work that a hook leaves open: begins when the host says so, goes on behind the answer, and ends once. */
import { isStreamError, StreamError } from "@millrace/protocol";
import { check, checkEqual } from "../check.ts";
import {
  acting,
  afterAppend,
  delivery,
  eventsAt,
  load,
  type RecordedCalls,
  recordCalls,
  type SandboxCase,
} from "./sandbox-case.ts";

const one = { given: '{"count":0}', events: eventsAt(1), call: afterAppend };

/** Appends what its state is when it begins, and again whenever its signal is aborted, by which it ends. */
const untilAborted = `async ({ signal, state, append }) => {
  await append({ type: "began", payload: state() });
  await aborted(signal);
  await append({ type: "ended", payload: { reason: signal.reason.message, state: state() } });
}`;

const payloads = ({ appended }: RecordedCalls) => appended.map(({ input }) => (input as { payload?: unknown }).payload);

export const workCases: readonly SandboxCase[] = [
  {
    name: "work goes on behind the answer, appends in its own name, and ends",
    async run(fixture) {
      const loaded = await load(
        fixture,
        acting(`waitUntil("answer", ${untilAborted}); await append({ type: "acted" });`),
      );
      const recorded = recordCalls();
      checkEqual((await loaded.deliver(delivery(one), recorded.calls)).is, "done", "answer");
      await recorded.until(2);
      const work = recorded.works.get("answer");
      work?.controller.abort(new Error("Enough."));
      checkEqual(await work?.ended, undefined, "the end of the work");
      checkEqual(recorded.appended.map(({ work }) => work).sort(), ["answer", "answer", undefined], "who appended");
    },
  },
  {
    name: "its state is the latest, also one that was made again",
    async run(fixture) {
      const loaded = await load(fixture, acting(`if (event.offset === 1) waitUntil("answer", ${untilAborted});`));
      const recorded = recordCalls();
      await loaded.deliver(delivery(one), recorded.calls);
      await recorded.until(1);
      const { calls } = recordCalls();
      await loaded.deliver(delivery({ base: 1, events: eventsAt(2), call: afterAppend }), calls);
      await loaded.deliver(delivery({ base: 2, given: '{"count":50}', events: eventsAt(3), call: afterAppend }), calls);
      const work = recorded.works.get("answer");
      work?.controller.abort(new Error("Enough."));
      await work?.ended;
      checkEqual(payloads(recorded), [{ count: 1 }, { reason: "Enough.", state: { count: 51 } }], "states");
    },
  },
  {
    name: "work does not begin before the host begins it",
    async run(fixture) {
      const loaded = await load(
        fixture,
        acting('waitUntil("answer", async ({ append }) => { await append({ type: "a" }); });'),
      );
      let begin: () => void = () => {};
      const recorded = recordCalls();
      const { waitUntil } = recorded.calls;
      const onDisk = new Promise<void>((resolve) => (begin = resolve));
      const calls = {
        ...recorded.calls,
        waitUntil: (...args: Parameters<typeof waitUntil>) => onDisk.then(() => waitUntil(...args)),
      };
      checkEqual((await loaded.deliver(delivery(one), calls)).is, "done", "answer");
      // Something else in between: by then it would have begun.
      await loaded.deliver(delivery({ state: "another", given: '{"count":0}' }), recordCalls().calls);
      checkEqual(recorded.appended, [], "appended before it begins");
      begin();
      await recorded.until(1);
      await recorded.works.get("answer")?.ended;
    },
  },
  {
    name: "work that is not to begin never does, and nothing fails",
    async run(fixture) {
      const loaded = await load(
        fixture,
        acting('waitUntil("answer", async ({ append }) => { await append({ type: "a" }); });'),
      );
      const recorded = recordCalls({ waitUntil: () => undefined });
      checkEqual((await loaded.deliver(delivery(one), recorded.calls)).is, "done", "answer");
      const again = delivery({ base: 1, events: eventsAt(2), call: afterAppend });
      checkEqual((await loaded.deliver(again, recorded.calls)).is, "done", "the next answer");
      checkEqual(recorded.appended, [], "appended");
    },
  },
  {
    name: "of two pieces of work of one name in one hook the first is the one that runs",
    async run(fixture) {
      const source = acting(
        `for (const n of [1, 2]) waitUntil("answer", async ({ append }) => { await append({ type: "a", payload: n }); });`,
      );
      const loaded = await load(fixture, source);
      const recorded = recordCalls();
      const { waitUntil } = recorded.calls;
      const names = new Set<string>();
      const calls = {
        ...recorded.calls,
        waitUntil(...args: Parameters<typeof waitUntil>) {
          if (names.has(args[0])) return undefined;
          names.add(args[0]);
          return waitUntil(...args);
        },
      };
      await loaded.deliver(delivery(one), calls);
      checkEqual(await recorded.works.get("answer")?.ended, undefined, "its end");
      checkEqual(payloads(recorded), [1], "what ran");
    },
  },
  {
    name: "a name that is in use is the hook's failure, also where the hook fails by itself",
    async run(fixture) {
      const source = acting(
        `waitUntil("answer", async () => {}); if (event.offset === 2) throw new Error("by itself");`,
      );
      const loaded = await load(fixture, source);
      const { calls } = recordCalls({
        waitUntil() {
          throw new Error('Work named "answer" is open already.');
        },
      });
      const messages = [];
      for (const offset of [1, 2]) {
        const given = offset === 1 ? { given: '{"count":0}' } : {};
        const result = await loaded.deliver(
          delivery({ base: offset - 1, ...given, events: eventsAt(offset), call: afterAppend }),
          calls,
        );
        messages.push((result as { error?: { message: string } }).error?.message);
      }
      checkEqual(messages, ['Work named "answer" is open already.', "by itself"], "messages");
    },
  },
  {
    name: "work that fails says with what, and harms nothing",
    async run(fixture) {
      const source = acting(`if (event.offset === 1) waitUntil("answer", async ({ append }) => {
          await append({ type: "a" }); throw new RangeError("no answer"); });
        if (event.offset === 2) waitUntil("answer", async ({ append }) => { await append({ type: "refused" }); });`);
      const loaded = await load(fixture, source);
      const recorded = recordCalls();
      await loaded.deliver(delivery(one), recorded.calls);
      const thrown = await recorded.works.get("answer")?.ended;
      checkEqual([thrown?.name, thrown?.message], ["RangeError", "no answer"], "its end");
      const paused = new StreamError("stream_paused", "The stream is paused.", {} as never);
      let end: (error: unknown) => void = () => {};
      const ended = new Promise<unknown>((resolve) => (end = resolve));
      const { calls } = recordCalls({
        async waitUntil(_name, work) {
          const signal = new AbortController().signal;
          const append = () => Promise.reject(paused);
          await work({ signal, state: () => undefined, append }).catch(end);
        },
      });
      await loaded.deliver(delivery({ base: 1, events: eventsAt(2), call: afterAppend }), calls);
      check(isStreamError(await ended, "stream_paused"), "a refusal keeps its code");
    },
  },
  {
    name: "a hook ends work by its name",
    async run(fixture) {
      const loaded = await load(fixture, acting('abort("answer"); await append({ type: "a" });'));
      const { calls, aborted } = recordCalls();
      await loaded.deliver(delivery(one), calls);
      checkEqual(aborted, ["answer"], "aborted");
    },
  },
];
