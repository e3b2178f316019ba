/**
 * The benchmarks of Millrace beside its peers, in one run: `node bench/run.mjs --help`.
 * Each scenario starts its own servers on 127.0.0.1, measures them in interleaved rounds and gives rows; here they are
 * run one after another, printed as a table and kept as JSON. Missed targets are told, not punished: only a scenario
 * that could not be measured makes the exit code 1.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArguments, usage } from "./lib/arguments.mjs";
import { ownMain, startMillrace } from "./lib/contenders.mjs";
import { cpuSeconds, describeMachine, isRamDisk } from "./lib/machine.mjs";
import { stopEverything } from "./lib/processes.mjs";
import { table } from "./lib/table.mjs";
import { scenarios } from "./scenarios/index.mjs";

const otherWorkTold = 0.05;
const tell = (text) => process.stderr.write(`${text}\n`);

async function main() {
  const options = readOptions();
  if (options.help) return console.log(usage);
  if (options.list) return console.log(scenarios.map(({ name, what }) => `${name.padEnd(20)} ${what}`).join("\n"));
  const chosen = options.names.length === 0 ? scenarios : options.names.map(scenarioNamed);

  const directory = mkdtempSync(join(options.data ?? tmpdir(), "millrace-bench-"));
  const cleanUp = async () => {
    await stopEverything();
    rmSync(directory, { recursive: true, force: true });
  };
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => cleanUp().then(() => process.exit(130)));
  try {
    await runAll(chosen, directory, options);
  } finally {
    await cleanUp();
  }
}

async function runAll(chosen, directory, options) {
  const startedAt = new Date().toISOString();
  const machine = describeMachine(directory);
  if (isRamDisk(directory))
    tell(`${dirname(directory)} is a RAM disk: fsync costs nothing there. Choose a disk with --data DIR.`);
  const rows = [];
  const raw = {};
  for (const [index, scenario] of chosen.entries()) {
    tell(`[${index + 1}/${chosen.length}] ${scenario.name}: ${scenario.what}`);
    const others = watchOthers();
    const outcome = await runOne(scenario, directory, options);
    const otherWork = others.share();
    if (otherWork > otherWorkTold) tell(`  ${disturbed(otherWork)}`);
    rows.push(...outcome.rows.map((row) => ({ scenario: scenario.name, otherWork, ...row })));
    raw[scenario.name] = outcome.raw;
  }
  console.log(`\n${headline(machine, options)}\n`);
  console.log(table(rows));
  for (const [name, share] of new Map(rows.map((row) => [row.scenario, row.otherWork]))) {
    if (share > otherWorkTold) console.log(`  ${name}: ${disturbed(share)}`);
  }
  const file = options.json ?? defaultFile(startedAt);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ startedAt, quick: options.quick, machine, rows, raw }, null, 2)}\n`);
  tell(`\nresults in ${file}`);
  if (rows.some((row) => row.failed !== undefined)) process.exitCode = 1;
}

async function runOne(scenario, directory, options) {
  const data = mkdtempSync(join(directory, `${scenario.name}-`));
  const startedAt = performance.now();
  const started = [];
  const tools = {
    quick: options.quick,
    rounds: options.quick ? 1 : 5,
    warmupMs: options.quick ? 500 : 1_000,
    windowMs: options.quick ? 1_000 : 2_500,
    directory: data,
    main: resolve(options.server ?? ownMain),
    progress: (text) => tell(`  ${((performance.now() - startedAt) / 1000).toFixed(0).padStart(4)} s  ${text}`),
    async startMillrace(where = data, flags = []) {
      const millrace = await startMillrace(where, { ...options, flags });
      started.push(millrace);
      return millrace;
    },
  };
  try {
    const outcome = await scenario.run(tools);
    for (const millrace of started) await millrace.stop();
    return outcome;
  } catch (error) {
    tell(`  FAILED: ${error.message}`);
    return { rows: [{ what: "", value: 0, unit: "", failed: error.message }], raw: { failed: error.message } };
  } finally {
    await stopEverything();
    rmSync(data, { recursive: true, force: true });
  }
}

/** How much of the machine went to processes that are not ours, as a share from 0 to 1. */
function watchOthers() {
  const before = cpuSeconds();
  const startedAt = performance.now();
  return {
    share() {
      if (before === null) return 0;
      const after = cpuSeconds();
      const seconds = ((performance.now() - startedAt) / 1000) * availableParallelism();
      return Math.max(0, (after.busy - before.busy - (after.own - before.own)) / seconds);
    },
  };
}

function disturbed(share) {
  return `other work took ${Math.round(share * 100)} % of the machine meanwhile: run it again when it is quiet`;
}

function headline({ cpu, cores, node, fdatasyncMs }, { quick }) {
  const facts = [cpu, `${cores} cores`, `node ${node}`, `fdatasync ${fdatasyncMs} ms`];
  return [...facts, ...(quick ? ["--quick: a look, not a measurement"] : [])].join(", ");
}

function readOptions() {
  try {
    return parseArguments(process.argv.slice(2));
  } catch (error) {
    tell(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}

function scenarioNamed(name) {
  const found = scenarios.find((scenario) => scenario.name === name);
  if (found !== undefined) return found;
  tell(`There is no scenario "${name}"; there are: ${scenarios.map((scenario) => scenario.name).join(", ")}`);
  process.exit(2);
}

function defaultFile(startedAt) {
  return fileURLToPath(new URL(`results/${startedAt.slice(0, 19).replaceAll(":", "-")}.json`, import.meta.url));
}

await main();
