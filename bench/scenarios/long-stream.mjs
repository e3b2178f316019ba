/** Whether an append costs more when its stream is long: the first 10,000 of a million beside the last 10,000. */
import { appends, fill, refuseErrors } from "../lib/appends.mjs";
import { median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const measured = 10_000;
const warmupCount = 40_000;
const connections = 32;

export const longStream = {
  name: "long-stream",
  what: "appends 990,001 to 1,000,000 of one stream beside its first 10,000",
  async run(tools) {
    const events = tools.quick ? 100_000 : 1_000_000;
    const millrace = await tools.startMillrace();
    await warmUp(millrace, tools);
    const rounds = [];
    for (let round = 1; round <= tools.rounds; round++) {
      tools.progress(`round ${round} of ${tools.rounds}: a stream of ${events.toLocaleString("en")} events`);
      rounds.push(await firstAndLast(millrace, `bench/long-${round}`, events));
    }
    const value = median(rounds.map(({ last }) => last.perSecond));
    const peerValue = median(rounds.map(({ first }) => first.perSecond));
    const target = { ratioAtLeast: 0.9 };
    return {
      rows: [row({ what: "last 10,000", value, unit: "/s", peer: "first 10,000", peerValue, target })],
      raw: rounds,
    };
  },
};

/** Else the first window of all would pay for the compilation of the server's code. */
async function warmUp(millrace, { warmupMs, windowMs }) {
  const streams = ["bench/long-0"];
  await millrace.prepare(streams);
  await appends(millrace, { streams, connections, warmupMs, windowMs });
}

async function firstAndLast(millrace, stream, events) {
  const warmupStream = `${stream}-warm-up`;
  await millrace.prepare([stream, warmupStream]);
  const first = await window(millrace, stream, warmupStream);
  await fill(millrace, [stream], events - 2 * measured);
  const last = await window(millrace, stream, warmupStream);
  return { first, last };
}

/** Another stream warms up client and server just before, so that both windows begin alike. */
async function window(millrace, stream, warmupStream) {
  const result = await appends(millrace, {
    streams: [stream],
    connections,
    warmupStream,
    warmupCount,
    count: measured,
  });
  refuseErrors(result);
  return result;
}
