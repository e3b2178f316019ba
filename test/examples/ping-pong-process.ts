/** An example processor in a process of its own: started, listened to, killed. */
import { type Command, type Exit, spawnProgram } from "../processes/server-process.ts";

/** How the example is started: the program and the arguments in front of ours. */
export type Program = readonly [program: string, ...args: string[]];

export interface PingPong {
  /** Waits until it has said this, on stdout or stderr. */
  said(what: RegExp): Promise<void>;
  output(): string;
  kill(): Promise<Exit>;
  exited: Promise<Exit>;
}

const patienceMs = 30_000;

export function startPingPong(program: Program, args: string[], env: Record<string, string> = {}): PingPong {
  const [name, ...first] = program;
  const command = spawnProgram(name, [...first, ...args], { PYTHONDONTWRITEBYTECODE: "1", NO_PROXY: "*", ...env });
  const output = () => command.output().stderr + command.output().stdout;
  return {
    said: (what) => said(command, what, output),
    output,
    exited: command.exited,
    kill() {
      command.child.kill("SIGKILL");
      return command.exited;
    },
  };
}

function said({ child, exited }: Command, what: RegExp, output: () => string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => () => reject(new Error(`never said ${what}: ${why}: ${output().slice(-2_000)}`));
    const timer = setTimeout(fail("too late"), patienceMs);
    const look = () => {
      if (!what.test(output())) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout?.on("data", look);
    child.stderr?.on("data", look);
    void exited.then(fail("it has ended"));
    look();
  });
}
