/**
 * Whether an append costs more when its stream is long. One stream is filled by batches; then its last windows of 10,000
 * single appends, up to the millionth, alternate with the first 10,000 of new streams: pairs a second apart, because
 * two windows of a quarter of a second at the two ends of a long run would compare the weather.
 */
import { appends, fill, refuseErrors } from "../lib/appends.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const long = "bench/long";
const warmupStream = "bench/long-warm-up";
const warmupCount = 20_000;
const windowCount = 10_000;
const connections = 32;

export const longStream = {
  name: "long-stream",
  what: "the last appends of a million to one stream beside the first 10,000 of new ones, in pairs",
  async run(tools) {
    const events = tools.quick ? 100_000 : 1_000_000;
    const rounds = tools.quick ? 3 : 9;
    const millrace = await tools.startMillrace();
    await millrace.prepare([long, warmupStream]);
    tools.progress(`a stream of ${events.toLocaleString("en")} events`);
    await fill(millrace, [long], events - rounds * windowCount);

    const windows = ["first 10,000", "last 10,000"];
    const plan = { rounds, contenders: windows, nameOf: (name) => name, progress: tools.progress };
    const [first, last] = await interleave(plan, (name, round) =>
      windowOf(millrace, name === windows[1] ? long : `${long}-${round}`),
    );
    const [value, peerValue] = [last, first].map((results) => median(results.map(({ perSecond }) => perSecond)));
    const target = { ratioAtLeast: 0.9 };
    const rows = [row({ what: windows[1], value, unit: "/s", peer: windows[0], peerValue, target })];
    return { rows, raw: { first, last } };
  },
};

/** Another stream warms up client and server just before, so that both windows begin alike. */
async function windowOf(millrace, stream) {
  if (stream !== long) await millrace.prepare([stream]);
  const result = await appends(millrace, {
    streams: [stream],
    connections,
    warmupStream,
    warmupCount,
    count: windowCount,
  });
  refuseErrors(result);
  return result;
}
