/**
 * Secrets by name: `{{secret:NAME}}` stands for a value that no event holds, and each is pinned to the hosts to which
 * it may be sent.
 */

export interface SecretInput {
  /** Events refer to it as `{{secret:NAME}}`. */
  name: string;
  value: string;
  /** Where it may be sent, as `parseSecretHost` reads it. At least one. */
  hosts: readonly string[];
  description?: string;
}

/** All that is ever shown of a secret. */
export interface SecretNote {
  name: string;
  hosts: readonly string[];
  description?: string;
  /** ISO 8601. */
  createdAt: string;
  updatedAt: string;
}

/** 1 to 255 of these; not dots alone, which no URL can name. */
export const secretNamePattern: RegExp = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,255}$/;

const reference = /\{\{secret:([^{}\s]{1,255})\}\}/g;

/** Where a secret may be sent: an exact host or all below one, over https unless http is said. */
export interface SecretHost {
  protocol: "https:" | "http:";
  /** As a URL has it: lower case, IPv6 in brackets. */
  hostname: string;
  /** `*.example.com`: every host below it, and not itself. */
  below: boolean;
  /** The protocol's own where none is named. */
  port: string;
}

const hostForms = "expected a host, such as api.example.com, *.example.com or api.example.com:8443";

/**
 * Reads `api.example.com`, `api.example.com:8443`, `*.example.com` and, where the value may travel in clear text,
 * `http://localhost:4000`.
 * @throws Error that says what is wrong
 */
export function parseSecretHost(text: string): SecretHost {
  const [, scheme = "https://", star = "", host = ""] = /^(https?:\/\/)?(\*\.)?([^/\\?#@\s*]+)$/i.exec(text) ?? [];
  const url = URL.canParse(`${scheme}${host}`) ? new URL(`${scheme}${host}`) : undefined;
  if (host === "" || url === undefined || url.hostname === "") throw new Error(`${hostForms}; got "${text}"`);
  if (star !== "" && !url.hostname.includes(".")) {
    throw new Error(`"${text}" would allow every host of a top-level domain`);
  }
  return {
    protocol: url.protocol as SecretHost["protocol"],
    hostname: url.hostname,
    below: star !== "",
    port: url.port,
  };
}

/** True when a secret with these hosts may be sent to this URL. */
export function mayBeSentTo(hosts: readonly string[], url: string): boolean {
  const { protocol, hostname, port } = new URL(url);
  return hosts.map(parseSecretHost).some((host) => {
    if (host.protocol !== protocol || host.port !== port) return false;
    return host.below ? hostname.endsWith(`.${host.hostname}`) : hostname === host.hostname;
  });
}

/** The names that a text refers to. */
export function secretNames(text: string): string[] {
  return [...text.matchAll(reference)].map(([, name]) => name as string);
}

/** The text with each reference replaced. */
export function withSecrets(text: string, reveal: (name: string) => string): string {
  return text.replace(reference, (_, name: string) => reveal(name));
}
