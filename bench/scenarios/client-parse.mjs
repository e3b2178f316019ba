/**
 * How fast a program gets the events of a stored stream through the SDK, in a process of its own. Beside it what is
 * left when everything is left out but the JSON of each line, and the bytes alone: what server and `fetch` can give.
 */
import { join } from "node:path";
import { fill } from "../lib/appends.mjs";
import { startWorker } from "../lib/jobs.mjs";
import { headOf } from "../lib/millrace-client.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const stream = "bench/client";
const builtins = "https://events.iterate.com/*";
/** Ways of reading (see client-reader.mjs), each with the one that does the least of the same. */
const ways = [
  { way: "stream", what: "client.stream", beside: "lines", target: { ratioAtLeast: 0.5 } },
  { way: "filtered", what: "client.stream, types", beside: "lines", target: { ratioAtLeast: 0.5 } },
  { way: "read", what: "client.read", beside: "pages", target: { ratioAtLeast: 0.8 } },
  { way: "lines", what: "JSON.parse of lines", beside: "bytes" },
  { way: "pages", what: "JSON.parse of pages", beside: "bytes" },
  { way: "bytes", what: "bytes alone" },
];
const patienceMs = 60_000;

export const clientParse = {
  name: "client-parse",
  what: "a stored stream of 300,000 events through the SDK, beside JSON.parse of its lines and its bytes alone",
  async run(tools) {
    const millrace = await tools.startMillrace();
    await millrace.prepare([stream]);
    const wanted = tools.quick ? 50_000 : 300_000;
    tools.progress(`writing ${wanted.toLocaleString("en")} events`);
    await fill(millrace, [stream], wanted);
    const events = await headOf(millrace.port, stream);
    const worker = startWorker("client-reader.mjs");
    const sdk = join(tools.main, "../../../../sdk/dist/index.js");
    const job = { port: millrace.port, sdk, stream, events, types: ["message-added", builtins], timeoutMs: patienceMs };
    const perSecond = async ({ way }) => (events / (await worker.ask({ ...job, way })).milliseconds) * 1000;
    for (const one of ways) await perSecond(one);
    const plan = { rounds: tools.rounds, contenders: ways, nameOf: ({ way }) => way, progress: tools.progress };
    const results = await interleave(plan, perSecond);
    const measured = ways.map((one, index) => ({ ...one, value: median(results[index]) }));
    return { rows: rowsOf(measured), raw: { events, ways: ways.map(({ way }) => way), results } };
  },
};

function rowsOf(measured) {
  return measured
    .filter(({ beside }) => beside !== undefined)
    .map(({ what, value, beside, target }) => {
      const peer = measured.find(({ way }) => way === beside);
      return row({ what: `events/s, ${what}`, value, unit: "/s", peer: peer.what, peerValue: peer.value, target });
    });
}
