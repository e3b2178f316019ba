/** The command line of the suite. */
import { parseArgs } from "node:util";

export const usage = `Usage: node bench/run.mjs [names...] [--quick] [--json FILE] [--data DIR] [--server FILE] [--cpu-prof DIR] [--list]

  names       scenarios to run; all when none is given
  --quick     one short round each and smaller sizes: a look, not a measurement
  --json      where the results go (default bench/results/<date>.json)
  --data      where the servers' temporary data goes (default: the system's temp directory)
  --server    the main.js of another build of Millrace, to compare with this one
  --cpu-prof  profile the Millrace server of every scenario into DIR; see bench/profile.mjs
  --list      the names and what each measures`;

/** @param {string[]} args */
export function parseArguments(args) {
  const options = {
    quick: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
    json: { type: "string" },
    data: { type: "string" },
    server: { type: "string" },
    "cpu-prof": { type: "string" },
  };
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  return { ...values, cpuProfiles: values["cpu-prof"], names: positionals };
}
