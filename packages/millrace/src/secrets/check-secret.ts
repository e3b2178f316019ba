/** What a secret has to be before it is stored. No message holds a value, nor a name, which may be a value by mistake. */
import type { SecretInput } from "@millrace/protocol";
import {
  type Limits,
  parseSecretHost,
  StreamError,
  secretDescriptionCharactersMax,
  secretHostCharactersMax,
  secretHostsMax,
  secretNamePattern,
} from "@millrace/protocol";

/** @throws StreamError `invalid_request` naming the field, `too_large` */
export function checkSecret({ name, value, hosts, description = "" }: SecretInput, limits: Limits): void {
  if (!secretNamePattern.test(name)) {
    throw invalid("name", "name is 1 to 255 characters of A-Z a-z 0-9 . _ -, and not dots alone.");
  }
  if (value === "") throw invalid("value", "value is empty.");
  // Half of a surrogate pair has no bytes: it would come out as another character.
  if (/\p{Surrogate}/u.test(value)) throw invalid("value", "value is no text that can be kept exactly.");
  if (Buffer.byteLength(value) > limits.secretBytes) {
    const message = `The value of a secret has at most ${limits.secretBytes} bytes.`;
    throw new StreamError("too_large", message, { limit: limits.secretBytes, unit: "bytes" });
  }
  if (description.length > secretDescriptionCharactersMax) {
    throw invalid("description", `description has at most ${secretDescriptionCharactersMax} characters.`);
  }
  checkHosts(hosts);
}

function checkHosts(hosts: readonly string[]): void {
  if (hosts.length === 0) {
    throw invalid("hosts", 'hosts says where the value may be sent, such as ["api.example.com"]; it is empty.');
  }
  if (hosts.length > secretHostsMax) throw invalid("hosts", `hosts has at most ${secretHostsMax} entries.`);
  for (const host of hosts) {
    if (host.length > secretHostCharactersMax) {
      throw invalid("hosts", `A host has at most ${secretHostCharactersMax} characters.`);
    }
    try {
      parseSecretHost(host);
    } catch (error) {
      throw invalid("hosts", `hosts: ${(error as Error).message}.`);
    }
  }
}

function invalid(field: string, message: string): StreamError<"invalid_request"> {
  return new StreamError("invalid_request", message, { field });
}
