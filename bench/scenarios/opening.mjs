/** From the start of the process to `listening`, with a database of 10 million events and with an empty one. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fill, streamNames } from "../lib/appends.mjs";
import { bytesBelow, freeBytes } from "../lib/machine.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const expectedBytesPerEvent = 600; // generous: the database and its log while filling
const openings = 5;

export const opening = {
  name: "opening",
  what: "starting on a database of 10 million events beside an empty one",
  async run(tools) {
    const events = tools.quick ? 1_000_000 : 10_000_000;
    refuseSmallDisk(tools.directory, events * expectedBytesPerEvent);
    const databases = ["empty", "full"].map((name) => ({ name, directory: join(tools.directory, name), events: 0 }));
    databases[1].events = events;
    for (const database of databases) await make(database, tools);

    const plan = {
      rounds: tools.quick ? 3 : openings,
      contenders: databases,
      nameOf: ({ name }) => name,
      progress: tools.progress,
    };
    const [empty, full] = await interleave(plan, async ({ directory }) => {
      const millrace = await tools.startMillrace(directory);
      await millrace.stop();
      return millrace.readyMs;
    });
    const megabytes = Math.round(bytesBelow(databases[1].directory) / 1e6);
    const what = `ready, ${events.toLocaleString("en")} events`;
    const target = { ratioAtMost: 1.1 };
    const measured = { what, value: median(full), unit: "ms", peer: "empty database", peerValue: median(empty) };
    return {
      rows: [row({ ...measured, target, note: `the database has ${megabytes} MB` })],
      raw: { events, megabytes, empty, full },
    };
  },
};

async function make({ name, directory, events }, tools) {
  mkdirSync(directory);
  const millrace = await tools.startMillrace(directory);
  if (events > 0) {
    tools.progress(`filling the ${name} database with ${events.toLocaleString("en")} events`);
    const streams = streamNames("opening", 100);
    await millrace.prepare(streams);
    await fill(millrace, streams, events);
  }
  await millrace.stop();
}

function refuseSmallDisk(directory, needed) {
  const free = freeBytes(directory);
  if (free >= needed) return;
  const gigabytes = (bytes) => (bytes / 1e9).toFixed(1);
  throw new Error(
    `needs ${gigabytes(needed)} GB of disk and ${gigabytes(free)} GB are free: give another --data DIR, or --quick`,
  );
}
