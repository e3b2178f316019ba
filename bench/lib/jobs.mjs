/**
 * The two ends of a job given to a process of its own: `runJob` in the suite, `serveJobs` in the child.
 * A child answers one job at a time; it ends when the suite disconnects or takes it down.
 */
import { forkModule } from "./processes.mjs";

const slackMs = 20_000; // connecting, the last answers, a busy machine

/** @param {(job: any) => Promise<unknown>} perform */
export function serveJobs(perform) {
  process.on("message", async (job) => {
    try {
      process.send({ result: await perform(job) });
    } catch (error) {
      process.send({ error: String(error?.message ?? error) });
    }
  });
  process.on("disconnect", () => process.exit(0));
}

/**
 * One job in a fresh process.
 * @param {string} module file name in lib/
 * @param {{warmupMs?: number, windowMs?: number, timeoutMs?: number}} job
 */
export async function runJob(module, job) {
  const worker = startWorker(module);
  try {
    return await worker.ask(job);
  } finally {
    await worker.stop();
  }
}

/** A process that is asked several times. */
export function startWorker(module) {
  const child = forkModule(new URL(module, import.meta.url));
  return {
    /** @returns {Promise<any>} */
    ask(job) {
      const timeoutMs = (job.timeoutMs ?? (job.warmupMs ?? 0) + (job.windowMs ?? 0)) + slackMs;
      return new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => settle(reject, new Error(`${module} did not finish in ${timeoutMs} ms`)),
          timeoutMs,
        );
        const onMessage = ({ result, error }) =>
          error === undefined ? settle(resolve, result) : settle(reject, new Error(`${module}: ${error}`));
        const onExit = (code, signal) => settle(reject, new Error(`${module} ended early (${signal ?? code})`));
        function settle(how, value) {
          clearTimeout(timer);
          child.process.off("message", onMessage).off("exit", onExit);
          how(value);
        }
        child.process.on("message", onMessage).on("exit", onExit);
        child.process.send(job);
      });
    },
    stop: () => child.stop("SIGKILL"),
  };
}
