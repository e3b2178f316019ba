/**
 * Installs what the tests need from Debian, where it may (root on Debian); elsewhere it names the package and the
 * tests that will be left out. Run by `npm test`; does nothing when everything is there.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const needed = [
  { program: "curl", package: "curl", for: "the commands of README.md and PROTOCOL.md" },
  { program: "jq", package: "jq", for: "the commands of README.md and PROTOCOL.md" },
  { program: "chromium", package: "chromium", for: "the test that opens the documents in a browser" },
  { program: "script", package: "bsdutils", for: "the tests on a terminal of 40 columns" },
  { program: "python3", package: "python3", for: "the tests of examples/python" },
  { program: "bwrap", package: "bubblewrap", for: "the test of sandbox processes in bwrap" },
  { program: "strace", package: "strace", for: "the tests that count and fail disk syncs" },
];

const missing = needed.filter(({ program }) => spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0);
if (missing.length > 0) {
  const names = missing.map((item) => item.package);
  const mayInstall = process.getuid?.() === 0 && existsSync("/usr/bin/apt-get");
  if (mayInstall) {
    console.log(`installing from Debian: ${names.join(", ")}`);
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    execFileSync("apt-get", ["update", "-qq"], { stdio: "inherit", env });
    execFileSync("apt-get", ["install", "-y", "-qq", ...names], { stdio: "inherit", env });
  } else {
    for (const item of missing) console.log(`not installed: ${item.package} (left out: ${item.for})`);
  }
}
