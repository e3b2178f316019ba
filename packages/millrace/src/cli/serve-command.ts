/** `millrace serve`: its flags and their environment. What runs is loaded when they are right. */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { registryUrl } from "../bundler/registry-url.ts";
import type { ServeOptions } from "../serve.ts";
import { type Command, helpOption, parseCommand } from "./command.ts";
import { isLoopback } from "./loopback.ts";
import { UsageError } from "./usage.ts";

const options = {
  port: { type: "string", value: "PORT", help: "where to listen, 0 for any free port   (MILLRACE_PORT, default 4040)" },
  host: {
    type: "string",
    value: "HOST",
    help: "which address to bind                  (MILLRACE_HOST, default 127.0.0.1)",
  },
  data: {
    type: "string",
    value: "DIR",
    help: "where events are kept, or :memory:     (MILLRACE_DATA, default ./millrace-data)",
  },
  "token-file": {
    type: "string",
    value: "FILE",
    help: "ask for the bearer token in this file, everywhere but at the health routes",
  },
  insecure: { type: "boolean", help: "bind to more than loopback without a token" },
  "public-url": { type: "string", value: "URL", help: "under which name the server is reached from outside" },
  "allow-host": { type: "string", multiple: true, value: "NAME", help: "a further Host to answer to" },
  "cors-origin": { type: "string", multiple: true, value: "ORIGIN", help: "let pages of this origin read and write" },
  "allow-forms-from": {
    type: "string",
    multiple: true,
    value: "ORIGIN",
    help: "let web forms of this origin be sent here",
  },
  "allow-private-destinations": {
    type: "boolean",
    help: "let webhooks lead to this machine and to private networks (development)",
  },
  "npm-registry": {
    type: "string",
    value: "URL",
    help: "where unbundled code gets npm packages from (default: nowhere)",
  },
  "npm-allow": {
    type: "string",
    multiple: true,
    value: "NAME",
    help: "a package that may be installed, @scope/* for a scope (default: all)",
  },
  "egress-allow": {
    type: "string",
    multiple: true,
    value: "HOSTS",
    help: "hosts for deployed code: HOST[,HOST], PROJECT=HOST or none (default: all)",
  },
  "log-level": {
    type: "string",
    value: "LEVEL",
    help: "trace, debug, info, warn, error or silent (default info)",
  },
  ...helpOption,
} as const;

export const serveCommand: Command = {
  usage: "serve [options]",
  about: `Runs the server until it is stopped with Ctrl-C or SIGTERM. Secrets are sealed with the key in
MILLRACE_SECRETS_KEY, 32 bytes as hex or base64; without it with one that is made in the data directory.`,
  options,
  examples: [
    "millrace serve --port 4040 --data ./millrace-data",
    `curl --json '{"type":"hello-world"}' http://127.0.0.1:4040/api/streams/me/hello`,
  ],
  async run(args) {
    const flags = parseFlags(args);
    const { parseEgressAllow } = await import("./egress-allow.ts");
    const egress = flags.egressAllow.length === 0 ? {} : { egress: parseEgressAllow(flags.egressAllow) };
    const { runServer } = await import("./run-server.ts");
    return runServer({ ...flags.serve, ...egress }, flags.logLevel);
  },
};

interface Flags {
  logLevel: string;
  egressAllow: readonly string[];
  serve: Omit<ServeOptions, "onFatal">;
}

function parseFlags(args: string[]): Flags {
  const { values } = parseCommand("serve", args, options, { min: 0, max: 0 });
  const env = process.env;
  const secretsKey = env.MILLRACE_SECRETS_KEY;
  // No process that the server starts may inherit it.
  delete env.MILLRACE_SECRETS_KEY;
  const host = values.host ?? env.MILLRACE_HOST ?? "127.0.0.1";
  const token = values["token-file"] === undefined ? undefined : readToken(values["token-file"]);
  if (!isLoopback(host) && token === undefined && !values.insecure) {
    throw new UsageError(
      `--host ${host} can be reached by others. Give --token-file FILE, so that they need a token, or --insecure if everybody may read and write.`,
    );
  }
  const hosts = [...(values["allow-host"] ?? [])];
  if (isIP(host) === 0) hosts.push(host);
  if (values["public-url"] !== undefined) hosts.push(hostOf(values["public-url"]));
  return {
    logLevel: levelOf(values["log-level"] ?? "info"),
    egressAllow: values["egress-allow"] ?? [],
    serve: {
      host,
      port: portOf(values.port ?? env.MILLRACE_PORT ?? "4040"),
      data: values.data ?? env.MILLRACE_DATA ?? "./millrace-data",
      allowPrivateDestinations: values["allow-private-destinations"] ?? false,
      ...(secretsKey === undefined ? {} : { secretsKey }),
      ...(values["public-url"] === undefined ? {} : { publicUrl: values["public-url"] }),
      ...npmOf(values["npm-registry"], values["npm-allow"]),
      access: {
        hosts: hosts.map((name) => name.toLowerCase()),
        corsOrigins: values["cors-origin"] ?? [],
        formOrigins: values["allow-forms-from"] ?? [],
        ...(token === undefined ? {} : { token }),
      },
    },
  };
}

function npmOf(
  registry: string | undefined,
  allow: string[] | undefined,
): Pick<ServeOptions, "npmRegistry" | "npmAllow"> {
  if (registry === undefined) {
    if (allow !== undefined) throw new UsageError("--npm-allow needs --npm-registry URL.");
    return {};
  }
  try {
    return { npmRegistry: registryUrl(registry), ...(allow === undefined ? {} : { npmAllow: allow }) };
  } catch (error) {
    throw new UsageError((error as Error).message);
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
