/**
 * One WebSocket subscription: how many events a second of a backlog are brought to a peer that acknowledges at once,
 * and to one that takes 5 ms for each. Beside it a webhook whose receiver answers after the same time: there one event
 * waits for the other, over the socket a hundred are under way.
 */
import { eventJson, firstCounter } from "../lib/events.mjs";
import { startWorker } from "../lib/jobs.mjs";
import { appendBatch } from "../lib/millrace-client.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";
import { subscribe, subscribeSocket, untilNothingIsLeft, webhooksToThisMachine } from "../lib/subscriptions.mjs";

const latenciesMs = [0, 5];
const patienceMs = 60_000;
const batch = 1_000;

export const socketDeliveries = {
  name: "socket-deliveries",
  what: "one WebSocket, and one webhook, with 0 and 5 ms until an event is taken: events/s of a backlog",
  async run(tools) {
    const millrace = await tools.startMillrace(undefined, webhooksToThisMachine);
    const peers = startWorker("webhook-receivers.mjs");
    const contenders = [];
    for (const delayMs of latenciesMs) {
      const [receiver] = await peers.ask({ action: "listen", receivers: 1, delayMs });
      const peer = await peers.ask({ action: "accept", delayMs });
      const common = { millrace, peers, delayMs, divisor: tools.quick ? 4 : 1 };
      // As many as take about two seconds.
      contenders.push({ ...common, stream: `bench/socket-${delayMs}`, events: 20_000 });
      contenders.push({ ...common, stream: `bench/hook-${delayMs}`, events: delayMs === 0 ? 3_000 : 400 });
      await millrace.prepare([`bench/socket-${delayMs}`, `bench/hook-${delayMs}`]);
      await subscribeSocket(millrace.port, `bench/socket-${delayMs}`, peer);
      await subscribe(millrace.port, `bench/hook-${delayMs}`, [receiver]);
    }
    tools.progress("warming up");
    for (const contender of contenders) await backlog({ ...contender, divisor: 4 });
    const nameOf = ({ stream }) => stream;
    const plan = { rounds: tools.quick ? 1 : 3, contenders, nameOf, progress: tools.progress };
    const rates = await interleave(plan, backlog);
    return { rows: latenciesMs.map((delayMs, index) => rowOf(delayMs, rates.slice(2 * index))), raw: rates };
  },
};

async function backlog({ millrace, peers, stream, events, divisor }) {
  const expected = events / divisor;
  await peers.ask({ action: "reset" });
  for (let filled = 0; filled < expected; filled += batch) {
    const count = Math.min(batch, expected - filled);
    const made = Array.from({ length: count }, (_, index) => JSON.parse(eventJson(firstCounter + filled + index)));
    await appendBatch(millrace.port, stream, made);
  }
  const read = await peers.ask({ action: "report", expected, patienceMs, timeoutMs: patienceMs });
  if (read.delivered !== expected) throw new Error(`${read.delivered} of ${expected} events of ${stream} came`);
  await untilNothingIsLeft(millrace.port, stream, patienceMs);
  return { perSecond: (expected - 1) / ((read.lastAt - read.firstAt) / 1e6) };
}

function rowOf(delayMs, [socket, webhook]) {
  const of = (rounds) => median(rounds.map(({ perSecond }) => perSecond));
  const what = `taken after ${delayMs} ms`;
  return row({ what, value: of(socket), unit: "/s", peer: "webhook", peerValue: of(webhook) });
}
