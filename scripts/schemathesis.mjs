/**
 * Makes the virtual environment in which `test/surface/schemathesis.test.ts` finds Schemathesis, a Python program, with
 * the versions of `test/surface/schemathesis/requirements.txt`. Run by `npm test`; does nothing when it is there.
 * Where it cannot be made it says in one line what is missing; under CI that is a failure, because a test would be.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const environment = fileURLToPath(new URL("../node_modules/.cache/schemathesis", import.meta.url));
const requirements = fileURLToPath(new URL("../test/surface/schemathesis/requirements.txt", import.meta.url));
/** Says which requirements the environment was made from; the last thing that is written. */
const made = `${environment}/made-from.txt`;
const wanted = readFileSync(requirements, "utf8");

if (!existsSync(made) || readFileSync(made, "utf8") !== wanted) {
  const missing = make();
  if (missing !== undefined) {
    console.log(`not installed: ${missing} (left out: Schemathesis over the OpenAPI document)`);
    if (process.env.CI === "true") process.exit(1);
  }
}

/** What is missing, or undefined when the environment is made. */
function make() {
  const mayInstall = process.getuid?.() === 0 && existsSync("/usr/bin/apt-get");
  if (!hasPython() && mayInstall) {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    execFileSync("apt-get", ["update", "-qq"], { stdio: "inherit", env });
    execFileSync("apt-get", ["install", "-y", "-qq", "python3", "python3-venv"], { stdio: "inherit", env });
  }
  if (!hasPython()) return "python3 (3.10 or newer) with python3-venv";
  rmSync(environment, { recursive: true, force: true });
  console.log("installing Schemathesis into node_modules/.cache");
  try {
    execFileSync("python3", ["-m", "venv", environment], { stdio: "inherit" });
    const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", requirements];
    execFileSync(`${environment}/bin/python`, install, { stdio: "inherit" });
  } catch {
    return "schemathesis (pip could not install it)";
  }
  writeFileSync(made, wanted);
  return undefined;
}

function hasPython() {
  const check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";
  return spawnSync("python3", ["-c", check]).status === 0;
}
