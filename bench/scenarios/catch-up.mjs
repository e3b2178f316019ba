/**
 * How fast `curl` gets a whole stream, from the start of the process to its end: once for a stream that was written in
 * batches, once for one that was written event by event under load. Before the clock runs, one read is counted.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { createInterface } from "node:readline";
import { appends, fill, refuseErrors } from "../lib/appends.mjs";
import { headOf } from "../lib/millrace-client.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const stream = "bench/catch-up";
const eventLine = { sse: /^data: \{/, ndjson: /^\{/ };

export const catchUp = {
  name: "catch-up",
  what: "a whole stream of 1 million events, written in batches, to curl",
  run: (tools) => readBack(tools, tools.quick ? 100_000 : 1_000_000, fill, { atLeast: 800_000 }),
};

export const catchUpSingles = {
  name: "catch-up-singles",
  what: "the same for a stream of 200,000 events that were appended one by one",
  run: (tools) => readBack(tools, tools.quick ? 20_000 : 200_000, fillOneByOne),
};

async function readBack(tools, events, fillStreams, target) {
  const millrace = await tools.startMillrace();
  await millrace.prepare([stream]);
  tools.progress(`writing ${events.toLocaleString("en")} events`);
  await fillStreams(millrace, [stream], events);
  const head = await headOf(millrace.port, stream);
  if (head < events) throw new Error(`the stream should hold ${events} events and has head ${head}`);

  const formats = ["sse", "ndjson"];
  for (const format of formats) await checkCount(urlOf(millrace, format), format, head);
  const plan = {
    rounds: tools.rounds,
    contenders: formats,
    nameOf: (format) => `curl, ${format}`,
    progress: tools.progress,
  };
  const results = await interleave(plan, async (format) => head / (await curlSeconds(urlOf(millrace, format))));
  const rows = formats.map((format, index) =>
    row({
      what: `events/s to curl, ${format}`,
      value: median(results[index]),
      unit: "/s",
      target: format === "sse" ? target : undefined,
    }),
  );
  return { rows, raw: { events: head, formats, results } };
}

async function fillOneByOne(millrace, streams, events) {
  refuseErrors(await appends(millrace, { streams, connections: 128, count: events, timeoutMs: 60_000 + events }));
}

function urlOf({ port }, format) {
  return `http://127.0.0.1:${port}/api/streams/${stream}?format=${format}`;
}

async function curlSeconds(url) {
  const nowhere = openSync("/dev/null", "w");
  const startedAt = performance.now();
  const curl = spawn("curl", ["-sf", url], { stdio: ["ignore", nowhere, "inherit"] });
  const [code] = await once(curl, "exit");
  closeSync(nowhere);
  if (code !== 0) throw new Error(`curl ${url} ended with ${code}`);
  return (performance.now() - startedAt) / 1000;
}

async function checkCount(url, format, expected) {
  const curl = spawn("curl", ["-sf", url], { stdio: ["ignore", "pipe", "inherit"] });
  let count = 0;
  for await (const line of createInterface({ input: curl.stdout })) if (eventLine[format].test(line)) count++;
  if (count !== expected) throw new Error(`${format} gave ${count} events of ${expected}`);
}
