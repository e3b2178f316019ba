/** What went wrong on the way, in words. Nothing that was sent or received stands in them. */
import { isOutboundError, OutboundError } from "@millrace/engine";

const closed = "the connection was closed before the end of the answer";
const notSecure = "it does not speak TLS";
const unknownIssuer = "its certificate is not signed by anybody who is trusted here";
const notHttp = "what came back is not HTTP, or not all of it";
const selfSigned = "its certificate is signed by itself";

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was reset",
  EPIPE: "the connection was closed",
  ETIMEDOUT: "no connection in time",
  EHOSTUNREACH: "no way to the host",
  ENETUNREACH: "no way to the network",
  EADDRNOTAVAIL: "no such address",
  ENOTFOUND: "the name was not found",
  EAI_AGAIN: "the name could not be looked up",
  UND_ERR_SOCKET: closed,
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "the answer is not as long as it said",
  // undici's own, at a status below 100.
  ERR_ASSERTION: notHttp,
  UND_ERR_HEADERS_OVERFLOW: "the headers of the answer are too long",
  EPROTO: notSecure,
  ERR_SSL_WRONG_VERSION_NUMBER: notSecure,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: notSecure,
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
  DEPTH_ZERO_SELF_SIGNED_CERT: selfSigned,
  SELF_SIGNED_CERT_IN_CHAIN: selfSigned,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownIssuer,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownIssuer,
};

/** More addresses than these would make the message long, and its reader no wiser. */
const shownMax = 4;

export function toOutboundError(error: unknown, destination: URL): OutboundError {
  if (isOutboundError(error)) return error;
  const failures: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  const said = [...new Set(failures.map(inWords))].slice(0, shownMax).join(", ");
  return new OutboundError("unreachable", `${destination.origin}: ${said}.`);
}

function inWords(error: unknown): string {
  const { name, code, address, port } = error as { name?: unknown; code?: unknown; address?: unknown; port?: unknown };
  if (name === "HTTPParserError") return notHttp;
  if (typeof code !== "string") return "no answer";
  const said = words[code] ?? `no answer (${code})`;
  if (typeof address !== "string" || typeof port !== "number") return said;
  return `${said} by ${address.includes(":") ? `[${address}]` : address}:${port}`;
}
