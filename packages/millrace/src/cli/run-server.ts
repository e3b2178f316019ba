/** The server in the foreground: one line on stdout when ready, logs on stderr, a clean end on SIGTERM and SIGINT. */
import type { RequestNote } from "@millrace/http";
import { type Logger, pino } from "pino";
import { isSandboxEnd } from "../sandbox/sandbox-end.ts";
import { type RunningServer, type ServeOptions, serve } from "../serve.ts";
import { escapeControls } from "./escape-controls.ts";
import { isLoopback } from "./loopback.ts";

export async function runServer(options: Omit<ServeOptions, "onFatal">, logLevel: string): Promise<number> {
  const log = createLog(logLevel);
  const server = await serve({
    ...options,
    onFault: (error, request) => logFault(log, error, request),
    onRefusal({ code, status, message }, request) {
      log.debug({ code, status, detail: message, ...request }, "refused");
    },
    onSaid({ level, project, path, slug, offset, message, details, leftOut }) {
      const more = { ...(details === undefined ? {} : { details }), ...(leftOut === undefined ? {} : { leftOut }) };
      log[level]({ project, path, slug, offset, ...more }, message);
    },
    onFatal(message) {
      log.fatal(message);
      process.stderr.write(`millrace: ${message}\n`);
      process.exit(1);
    },
  });
  // Listened for before anybody is told that there is something to stop.
  const stopping = stopSignal();
  log.info({ url: server.url, data: options.data }, "ready");
  process.stdout.write(`listening on ${server.url}\n`);
  void tellIsolation(server, isLoopback(options.host), log);
  const signal = await stopping;
  log.info({ signal }, "stopping: answering what was accepted, ending readers");
  await closeOrGiveUp(server);
  log.info("stopped");
  return 0;
}

/** What deployed code did to its process is no fault of the server: its stack would lead nowhere. */
function logFault(log: Logger, error: unknown, request: RequestNote | undefined): void {
  if (!isSandboxEnd(error)) {
    log.error({ err: error, ...request }, "a request or an effect failed");
    return;
  }
  const { project, death, said, message } = error;
  log.warn({ project, death, ...(said === "" ? {} : { said }) }, message);
}

/** Nobody waits for it: it takes as long as all the rest of the start. */
async function tellIsolation({ engine }: RunningServer, isNear: boolean, log: Logger): Promise<void> {
  const isolation = await engine.isolation?.();
  if (isolation === undefined) return;
  const { description, missing } = isolation;
  log.info({ sandbox: description, missing }, "deployed code is shut in");
  if (missing.length === 0 || isNear) return;
  log.warn(`deployed code has fewer walls around it than there could be. Missing: ${missing.join("; ")}`);
}

/** What others wrote stands in lines of the log: none of it may begin a line, or steer the terminal that shows it. */
function createLog(level: string): Logger {
  const stderr = pino.destination({ fd: 2, sync: true });
  const escaped = { write: (line: string) => void stderr.write(escapeControls(line)) };
  return pino({ level }, escaped);
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal));
  });
}

/** A second signal ends it at once: whoever sends it twice means it. */
async function closeOrGiveUp(server: RunningServer): Promise<void> {
  const again = stopSignal().then(() => process.exit(1));
  await Promise.race([server.close(), again]);
}
