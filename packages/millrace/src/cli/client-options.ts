/** What every command that talks to a server shares: where it is, in whose name, and what its refusals mean here. */
import { createEventsClient, type EventsClient, isMillraceError, type RetryOptions } from "@millrace/sdk";
import { httpTransport } from "@millrace/sdk/node";
import { helpOption } from "./command.ts";
import { UsageError } from "./usage.ts";

interface Valued {
  type: "string";
  value: string;
  help: string;
}

type ClientOptions = { json: { type: "boolean"; help: string }; url: Valued; project: Valued; token: Valued };

export const clientOptions: ClientOptions & typeof helpOption = {
  json: { type: "boolean", help: "JSON for programs, one value in a line" },
  url: { type: "string", value: "URL", help: "the server    (MILLRACE_URL, default http://127.0.0.1:4040)" },
  project: { type: "string", value: "SLUG", help: "the project   (MILLRACE_PROJECT, default public)" },
  token: { type: "string", value: "TOKEN", help: "bearer token  (MILLRACE_TOKEN, which other users cannot see)" },
  ...helpOption,
};

export interface ClientValues {
  url?: string | undefined;
  project?: string | undefined;
  token?: string | undefined;
}

export interface ClientUse {
  /** The stream that a refusal is about, for the hint how to resume it. */
  path?: string;
  /** Nobody waits for a command that hangs, so a failed request is not repeated unless the command says so. */
  retry?: RetryOptions;
}

/** Runs with a client; whatever the server refuses becomes a line for people and an exit code. */
export async function withClient(
  values: ClientValues,
  { path, retry }: ClientUse,
  run: (client: EventsClient, where: Where) => Promise<number>,
): Promise<number> {
  const baseUrl = urlOf(values.url ?? (process.env.MILLRACE_URL || "http://127.0.0.1:4040"));
  const projectSlug = values.project ?? process.env.MILLRACE_PROJECT;
  const token = values.token ?? process.env.MILLRACE_TOKEN;
  const client = createEventsClient({
    baseUrl,
    ...(projectSlug ? { projectSlug } : {}),
    ...(token ? { token } : {}),
    retry: retry ?? false,
    transport: httpTransport,
  });
  try {
    return await run(client, { project: projectSlug ? ` in project ${projectSlug}` : "" });
  } catch (error) {
    throw explained(error, { baseUrl, path, hasToken: Boolean(token), projectSlug });
  }
}

/** Words for what is not found, which may be somewhere else. */
export interface Where {
  /** Such as ` in project demo`; empty when none was said. */
  project: string;
}

function urlOf(url: string): string {
  if (URL.canParse(url) && /^https?:/i.test(url)) return url;
  throw new UsageError(`--url (MILLRACE_URL) is a URL such as http://127.0.0.1:4040; got "${url}".`);
}

/** A path as it was typed. An empty one is a variable that was not set, and would mean the root. */
export function pathArgument(path: string | undefined): string {
  if (path !== undefined && path.trim() !== "") return path.startsWith("/") ? path : `/${path}`;
  throw new UsageError("A path is expected, such as /me/hello; the root is /.");
}

class CommandError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number, cause: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}

interface Asked {
  baseUrl: string;
  path: string | undefined;
  hasToken: boolean;
  projectSlug: string | undefined;
}

function explained(error: unknown, { baseUrl, path, hasToken, projectSlug }: Asked): unknown {
  if (!isMillraceError(error)) return error;
  const { message } = error;
  const told = (text: string, exitCode: number) => new CommandError(text, exitCode, error);
  switch (error.code) {
    case "unreachable":
      return told(
        `${withStop(message)}\nStart a server with "millrace serve", or say where it is with --url (MILLRACE_URL); tried ${baseUrl}.`,
        3,
      );
    case "unexpected_answer":
      return told(`${message}\nSay where the server is with --url (MILLRACE_URL); tried ${baseUrl}.`, 3);
    case "unauthorized":
      return told(
        hasToken
          ? `${message}\nHere: that of --token (MILLRACE_TOKEN) is another one.`
          : `${message}\nHere: --token TOKEN, or MILLRACE_TOKEN.`,
        1,
      );
    case "stream_paused":
      return told(`${message}\nHere: millrace resume ${path ?? "<path>"}`, 1);
    case "not_found":
      return told(
        projectSlug ? `${message}\nHere: in project ${projectSlug}, of --project (MILLRACE_PROJECT).` : message,
        1,
      );
    default:
      return told(message, 1);
  }
}

const withStop = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);
