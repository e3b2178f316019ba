/** `examples/python`, with the Python that is installed. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describePingPong } from "./describe-ping-pong.ts";

const script = fileURLToPath(new URL("../../examples/python/ping_pong.py", import.meta.url));
const isThere = spawnSync("python3", ["--version"]).status === 0;

describePingPong("examples/python", isThere ? ["python3", script] : "python3 is not installed (Debian: python3)");
