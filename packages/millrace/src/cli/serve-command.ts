/** `millrace serve`: one line on stdout when ready, logs on stderr, a clean end on SIGTERM and SIGINT. */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { type RunningServer, type ServeOptions, serve } from "../serve.ts";
import { UsageError } from "./usage.ts";

const help = `Usage: millrace serve [options]

Runs the server until it is stopped with Ctrl-C or SIGTERM.

Options:
  --port PORT              where to listen, 0 for any free port   (MILLRACE_PORT, default 4040)
  --host HOST              which address to bind                  (MILLRACE_HOST, default 127.0.0.1)
  --data DIR               where events are kept, or :memory:     (MILLRACE_DATA, default ./millrace-data)
  --token-file FILE        ask for the bearer token in this file, everywhere but at the health routes
  --insecure               bind to more than loopback without a token
  --public-url URL         under which name the server is reached from outside
  --allow-host NAME        a further Host to answer to (repeatable)
  --cors-origin ORIGIN     let pages of this origin read and write (repeatable)
  --allow-forms-from ORIGIN  let web forms of this origin be sent here (repeatable)
  --log-level LEVEL        trace, debug, info, warn, error or silent (default info)
  --help                   this text

Example:
  millrace serve --port 4040 --data ./millrace-data
  curl --json '{"type":"hello-world"}' http://127.0.0.1:4040/api/streams/me/hello
`;

export async function serveCommand(args: string[]): Promise<number> {
  const flags = parseFlags(args);
  if (flags.help) {
    process.stdout.write(help);
    return 0;
  }
  const log = pino({ level: flags.logLevel }, pino.destination({ fd: 2, sync: true }));
  const server = await serve({
    ...flags.serve,
    onFault: (error, request) => log.error({ err: error, ...request }, "a request or an effect failed"),
    onRefusal({ code, status, message }, request) {
      log.debug({ code, status, detail: message, ...request }, "refused");
    },
    onFatal(message) {
      log.fatal(message);
      process.stderr.write(
        `millrace: ${message} Nothing that was acknowledged is lost; start again when the disk is well.\n`,
      );
      process.exit(1);
    },
  });
  log.info({ url: server.url, data: flags.serve.data }, "ready");
  process.stdout.write(`listening on ${server.url}\n`);
  const signal = await stopSignal();
  log.info({ signal }, "stopping: answering what was accepted, ending readers");
  await closeOrGiveUp(server);
  log.info("stopped");
  return 0;
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

interface Flags {
  help: boolean;
  logLevel: string;
  serve: Omit<ServeOptions, "onFatal">;
}

function parseFlags(args: string[]): Flags {
  const { values } = parse(args);
  const env = process.env;
  const host = values.host ?? env.MILLRACE_HOST ?? "127.0.0.1";
  const token = values["token-file"] === undefined ? undefined : readToken(values["token-file"]);
  if (!isLoopback(host) && token === undefined && !values.insecure && !values.help) {
    throw new UsageError(
      `--host ${host} can be reached by others. Give --token-file FILE, so that they need a token, or --insecure if everybody may read and write.`,
    );
  }
  const hosts = [...(values["allow-host"] ?? [])];
  if (isIP(host) === 0) hosts.push(host);
  if (values["public-url"] !== undefined) hosts.push(hostOf(values["public-url"]));
  return {
    help: values.help ?? false,
    logLevel: levelOf(values["log-level"] ?? "info"),
    serve: {
      host,
      port: portOf(values.port ?? env.MILLRACE_PORT ?? "4040"),
      data: values.data ?? env.MILLRACE_DATA ?? "./millrace-data",
      access: {
        hosts: hosts.map((name) => name.toLowerCase()),
        corsOrigins: values["cors-origin"] ?? [],
        formOrigins: values["allow-forms-from"] ?? [],
        ...(token === undefined ? {} : { token }),
      },
    },
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        port: { type: "string" },
        host: { type: "string" },
        data: { type: "string" },
        "token-file": { type: "string" },
        insecure: { type: "boolean" },
        "public-url": { type: "string" },
        "allow-host": { type: "string", multiple: true },
        "cors-origin": { type: "string", multiple: true },
        "allow-forms-from": { type: "string", multiple: true },
        "log-level": { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\nSee millrace serve --help.`);
  }
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (port < 0 || port > 65_535) throw new UsageError(`--port is a number from 0 to 65535; got "${text}".`);
  return port;
}

function levelOf(level: string): string {
  if (["trace", "debug", "info", "warn", "error", "silent"].includes(level)) return level;
  throw new UsageError(`--log-level is trace, debug, info, warn, error or silent; got "${level}".`);
}

function hostOf(url: string): string {
  try {
    return new URL(url).hostname;
  } catch {
    throw new UsageError(`--public-url is a URL such as https://streams.example.org; got "${url}".`);
  }
}

function readToken(file: string): string {
  let token: string;
  try {
    token = readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new UsageError(`--token-file ${file} cannot be read (${(error as Error).message}).`);
  }
  if (token.length < 16)
    throw new UsageError(`The token in ${file} has ${token.length} characters; give it at least 16.`);
  return token;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}
