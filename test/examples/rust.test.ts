/** `examples/rust`, built here once; cargo gets its two dependencies, and theirs, from crates.io. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describePingPong } from "./describe-ping-pong.ts";
import type { Program } from "./ping-pong-process.ts";

const run = promisify(execFile);
const home = fileURLToPath(new URL("../../examples/rust", import.meta.url));
const buildMs = 150_000;
const offline = /offline mode|failed to (?:download|get|fetch|query)|unable to update|network|could not resolve/i;

describePingPong("examples/rust", await build());

/** The program, or why there is none. What does not compile is a failure. */
async function build(): Promise<Program | string> {
  const cargo = await run("cargo", ["--version"]).catch(() => undefined);
  const minor = Number(/^cargo 1\.(\d+)/.exec(cargo?.stdout ?? "")?.[1] ?? 0);
  if (minor < 85) return "cargo 1.85 or newer is not installed (https://rustup.rs)";
  try {
    await run("cargo", ["build", "--locked", "--quiet"], { cwd: home, timeout: buildMs });
  } catch (error) {
    const { stderr, killed } = error as { stderr: string; killed: boolean };
    if (!killed && !offline.test(stderr)) throw error;
    return killed ? `cargo did not end within ${buildMs} ms` : "cargo cannot reach crates.io";
  }
  return [`${home}/target/debug/ping-pong`];
}
