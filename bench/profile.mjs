/**
 * The most expensive functions of CPU profiles (self time): `node bench/profile.mjs FILE.cpuprofile... [--top N]`.
 * Profiles come from `node bench/run.mjs NAME --cpu-prof DIR`; every thread of the server writes one.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  options: { top: { type: "string", default: "25" } },
  allowPositionals: true,
});
if (positionals.length === 0) {
  console.error("Usage: node bench/profile.mjs FILE.cpuprofile... [--top N]");
  process.exit(2);
}
for (const file of positionals)
  console.log(`${file}\n${expensive(JSON.parse(readFileSync(file, "utf8")), Number(values.top))}\n`);

/** @param {{nodes: any[], samples: number[], timeDeltas: number[]}} profile times in microseconds */
function expensive({ nodes, samples, timeDeltas }, top) {
  const callFrames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const selfTime = new Map();
  let busy = 0;
  samples.forEach((id, index) => {
    const name = nameOf(callFrames.get(id));
    if (name === "(idle)") return;
    busy += timeDeltas[index];
    selfTime.set(name, (selfTime.get(name) ?? 0) + timeDeltas[index]);
  });
  const total = timeDeltas.reduce((sum, delta) => sum + delta, 0);
  const lines = [...selfTime].sort((a, b) => b[1] - a[1]).slice(0, top);
  const share = (time) => `${((time / busy) * 100).toFixed(1).padStart(5)} %`;
  return [
    `busy ${((busy / total) * 100).toFixed(0)} % of ${(total / 1e6).toFixed(1)} s`,
    ...lines.map(([name, time]) => `${share(time)}  ${name}`),
  ].join("\n");
}

function nameOf({ functionName, url, lineNumber }) {
  const name = functionName || "(anonymous)";
  if (url === "") return name;
  return `${name}  ${url.split("/").slice(-3).join("/")}:${lineNumber + 1}`;
}
