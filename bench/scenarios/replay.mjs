/**
 * A million events through a reducer, as whole processes, from their start to their end: `millrace replay` of an export,
 * `millrace replay` of a stream, and a runtime that finds that history before its first event. Beside them stand the
 * same lines through `JSON.parse` alone, and the same bytes to `curl`. Memory is the peak of the process.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { fill } from "../lib/appends.mjs";
import { cpuSecondsOf, memoryOf } from "../lib/machine.mjs";
import { headOf } from "../lib/millrace-client.mjs";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const stream = "bench/replay";
const lookEveryMs = 20;
const file = (name) => fileURLToPath(new URL(`../lib/${name}`, import.meta.url));

export const replay = {
  name: "replay",
  what: "1 million events through a reducer: millrace replay of a file and over HTTP, and a runtime's history",
  async run(tools) {
    const millrace = await tools.startMillrace();
    await millrace.prepare([stream]);
    const wanted = tools.quick ? 100_000 : 1_000_000;
    tools.progress(`writing ${wanted.toLocaleString("en")} events`);
    await fill(millrace, [stream], wanted);
    const events = await headOf(millrace.port, stream);
    const url = `http://127.0.0.1:${millrace.port}`;
    const exported = join(tools.directory, "export.ndjson");
    await toFile([process.execPath, tools.main, "export", `/${stream}`, "--url", url], exported);
    const contenders = contendersOf({ main: tools.main, url, exported });
    const plan = { rounds: tools.quick ? 1 : 3, contenders, nameOf: ({ name }) => name, progress: tools.progress };
    const results = await interleave(plan, ({ command, expected }) => measure(command, expected?.(wanted)));
    return { rows: rowsOf(contenders, results, events), raw: { events, results } };
  },
};

function contendersOf({ main, url, exported }) {
  const { execPath } = process;
  const replaying = [execPath, main, "replay", file("counting.mjs"), "--json"];
  // Nobody gets by with the head of the stream: the state says how many events were folded.
  const expected = (messages) => `"messages":${messages},`;
  return [
    { name: "replay --file", beside: "JSON.parse of the lines", command: [...replaying, "--file", exported], expected },
    {
      name: "replay --path",
      beside: "JSON.parse of the lines",
      command: [...replaying, "--path", `/${stream}`, "--url", url],
      expected,
    },
    {
      name: "a runtime's history",
      beside: "JSON.parse of the lines",
      command: [execPath, file("fold.mjs"), url, `/${stream}`],
      expected,
    },
    { name: "JSON.parse of the lines", command: [execPath, file("parse-lines.mjs"), exported] },
    { name: "curl", command: ["curl", "-sf", "-o", "/dev/null", `${url}/api/streams/${stream}?format=ndjson`] },
  ];
}

/** The whole process. Its peak of memory and its CPU are those of the last look before its end. */
async function measure([command, ...args], expected) {
  const startedAt = performance.now();
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "ignore"] });
  const exited = once(child, "exit");
  let peak = 0;
  let cpu = 0;
  const looking = setInterval(() => {
    if (child.exitCode !== null) return;
    try {
      ({ peak } = memoryOf(child.pid));
      cpu = cpuSecondsOf(child.pid);
    } catch {
      // It has just ended.
    }
  }, lookEveryMs);
  const output = await text(child.stdout);
  const [code] = await exited;
  clearInterval(looking);
  const seconds = (performance.now() - startedAt) / 1_000;
  if (code !== 0) throw new Error(`${command} ${args[0]} ended with ${code}`);
  if (expected !== undefined && !output.includes(expected)) throw new Error(`expected ${expected} in ${output}`);
  return { seconds, peak, cpu };
}

async function toFile([command, ...args], name) {
  const target = openSync(name, "w");
  const child = spawn(command, args, { stdio: ["ignore", target, "ignore"] });
  const [code] = await once(child, "exit");
  closeSync(target);
  if (code !== 0) throw new Error(`${args[1]} ended with ${code}`);
}

function rowsOf(contenders, results, events) {
  const of = (name, figure) => median(results[contenders.findIndex((one) => one.name === name)].map(figure));
  const perSecond = (name) => events / of(name, ({ seconds }) => seconds);
  return contenders
    .filter(({ beside }) => beside !== undefined)
    .flatMap(({ name, beside }) => {
      const what = `events/s, ${name}`;
      const value = perSecond(name);
      const rates = [row({ what, value, unit: "/s", peer: beside, peerValue: perSecond(beside) })];
      if (name !== "replay --file")
        rates.push(row({ what, value, unit: "/s", peer: "curl", peerValue: perSecond("curl") }));
      const figures = {
        unit: "s",
        value: of(name, ({ cpu }) => cpu),
        peer: beside,
        peerValue: of(beside, ({ cpu }) => cpu),
      };
      return [
        ...rates,
        row({ what: `CPU, ${name}`, ...figures }),
        row({ what: `memory, ${name}`, value: of(name, ({ peak }) => peak), unit: "MB" }),
      ];
    });
}
