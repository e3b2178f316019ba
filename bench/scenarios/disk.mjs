/** Bytes on disk for each event after a clean stop, beside the JSON that was sent. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { appends, fill, refuseErrors, streamNames } from "../lib/appends.mjs";
import { eventBytes } from "../lib/events.mjs";
import { bytesBelow } from "../lib/machine.mjs";
import { servedBytes } from "../lib/millrace-client.mjs";
import { row } from "../lib/rows.mjs";

export const disk = {
  name: "disk",
  what: "bytes on disk for each event, appended one by one and in batches, beside the JSON that was sent",
  async run(tools) {
    const events = tools.quick ? 20_000 : 200_000;
    const singles = await written(tools, "singles", events, appendOneByOne);
    const batches = await written(tools, "batches", events, fill);
    const peer = { peer: "JSON as sent", peerValue: eventBytes };
    const note = `an event as served has ${singles.served} bytes`;
    const rows = [
      row({ what: "one by one, 100 streams", value: singles.bytes, unit: "B", ...peer, note }),
      row({ what: "batches, 100 streams", value: batches.bytes, unit: "B", ...peer }),
    ];
    return { rows, raw: { events, singles, batches, sent: eventBytes } };
  },
};

async function written(tools, name, events, append) {
  const directory = join(tools.directory, name);
  mkdirSync(directory);
  const millrace = await tools.startMillrace(directory);
  const streams = streamNames(name, 100);
  await millrace.prepare(streams);
  tools.progress(`${name}: ${events.toLocaleString("en")} events`);
  await append(millrace, streams, events);
  const served = await servedBytes(millrace.port, streams[0]);
  await millrace.stop();
  return { bytes: bytesBelow(directory) / events, served };
}

async function appendOneByOne(millrace, streams, events) {
  refuseErrors(await appends(millrace, { streams, connections: 32, count: events, timeoutMs: 60_000 + events }));
}
