/** The main thread of a process that is given one job at a time, and may be killed at any of them. */

export type FromProcess<Done> = "ready" | { done: Done };

export function serveJobs<Job, Done>(work: (job: Job) => Promise<Done>): void {
  // These reach every process of a terminal or a service; when to end is the server's to say, which then hangs up.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
  process.on("disconnect", endAll);
  if (!process.connected) endAll();
  process.on("message", async (job: Job) => tell({ done: await work(job) }));
  tell("ready");

  function tell(message: FromProcess<Done>): void {
    // Without a callback a channel that has just closed is an uncaught exception.
    process.send?.(message, undefined, {}, () => {});
  }
}

/** Together with esbuild, which may be busy for long: both are of one group. */
function endAll(): void {
  try {
    process.kill(-process.pid, "SIGKILL");
  } catch {
    process.exit();
  }
}
