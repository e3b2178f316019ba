/**
 * What a person waits for: a command as a whole process, from its start to its end, beside a Node that does nothing.
 * Nothing is kept between two commands, so this is loading, one request and printing.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { interleave, median } from "../lib/rounds.mjs";
import { row } from "../lib/rows.mjs";

const stream = "/bench/cli";
const targetMs = 150;
const runs = 25;
const bareNode = { name: "node -e 0", args: ["-e", "0"] };
const commandLines = [
  ["--help"],
  ["append", stream, "hello-world", "--json"],
  ["append", stream, "hello-world"],
  ["state", stream],
  ["tail", stream, "--from", "start", "--limit", "1"],
];

export const cliStart = {
  name: "cli-start",
  what: "whole runs of the command line beside an empty Node: help, append, state, tail",
  async run(tools) {
    const millrace = await tools.startMillrace();
    await millrace.prepare([stream.slice(1)]);
    const environment = { ...process.env, MILLRACE_URL: `http://127.0.0.1:${millrace.port}` };
    const commands = [bareNode, ...commandLines.map((words) => commandOf(tools.main, words))];
    for (const command of commands) await wallMs(command, environment); // the first of each reads from the disk
    const plan = {
      rounds: tools.quick ? 5 : runs,
      contenders: commands,
      nameOf: ({ name }) => name,
      progress: () => {},
    };
    const [bare, ...results] = await interleave(plan, (command) => wallMs(command, environment));
    const peerValue = median(bare);
    const rows = results.map((times, index) =>
      row({
        what: commands[index + 1].name,
        value: median(times),
        unit: "ms",
        peer: bareNode.name,
        peerValue,
        target: { atMost: targetMs },
      }),
    );
    return { rows, raw: { commands: commands.map(({ name }) => name), results: [bare, ...results] } };
  },
};

function commandOf(main, words) {
  return { name: words.filter((word) => word !== stream).join(" "), args: [main, ...words] };
}

async function wallMs({ name, args }, env) {
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "ignore", "inherit"] });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`${name} ended with ${code}`);
  return performance.now() - startedAt;
}
