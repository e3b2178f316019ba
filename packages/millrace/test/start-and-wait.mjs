/** Starts a process that sleeps for as many seconds as it is told, says so at once, and waits. */
import { spawnWithServer } from "../dist/sandbox/end-with-server.js";

const child = spawnWithServer(["/bin/sleep", process.argv[2]], { env: {}, cwd: "/" });
child.on("close", (code) => console.log(`closed ${code}`));
console.log("started");
setInterval(() => {}, 1_000);
