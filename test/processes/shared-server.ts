/** One server process for all tests of a file. */
import { afterAll, beforeAll } from "vitest";
import { type Exit, type ServerProcess, startServer, temporaryDirectory } from "./server-process.ts";

/**
 * Starts before the tests of the file and ends with them, its data too, also when it could not start.
 * @param atTheEnd sees how a server that was told to stop has ended
 */
export function sharedServer(
  atTheEnd: (exit: Exit) => void = () => {},
  args: string[] = [],
): Pick<ServerProcess, "url" | "port" | "pid"> {
  const { directory, remove } = temporaryDirectory();
  let running: ServerProcess | undefined;
  beforeAll(async () => {
    running = await startServer({ data: directory, args });
  });
  afterAll(async () => {
    const exit = await running?.stop("SIGTERM");
    remove();
    if (exit !== undefined) atTheEnd(exit);
  });
  const server = () => running as ServerProcess;
  return {
    get url() {
      return server().url;
    },
    get port() {
      return server().port;
    },
    get pid() {
      return server().pid;
    },
  };
}
