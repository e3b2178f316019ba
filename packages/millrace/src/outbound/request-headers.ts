/** The headers of an outgoing request, judged before anything is connected. No message holds a value. */
import { validateHeaderName, validateHeaderValue } from "node:http";
import { type HeaderList, OutboundError } from "@millrace/engine";

/** Those that say where a message ends, or whose it is: one of them wrong, and two hosts read two different requests. */
const ofTheConnection: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Said by whoever speaks the WebSocket. */
const ofTheSocket: ReadonlySet<string> = new Set([
  "sec-websocket-accept",
  "sec-websocket-extensions",
  "sec-websocket-key",
  "sec-websocket-protocol",
  "sec-websocket-version",
]);

/** @throws OutboundError "refused" */
export function toRequestHeaders(given: Readonly<Record<string, string>>): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    const fault = faultOf(name.toLowerCase(), value);
    if (fault !== undefined) throw new OutboundError("refused", fault);
    if (name.toLowerCase() !== "accept-encoding") headers[name] = value;
  }
  // What is packed may unfold to any size, and nobody here unpacks it.
  headers["accept-encoding"] = "identity";
  return headers;
}

/** As they are, in the flat list that undici takes. @throws OutboundError "refused" */
export function toStreamHeaders(given: HeaderList): string[] {
  for (const [name, value] of given) {
    const fault = headerFault(name.toLowerCase(), value);
    if (fault !== undefined) throw new OutboundError("refused", fault);
  }
  return given.flat();
}

function faultOf(name: string, value: string): string | undefined {
  if (ofTheSocket.has(name)) return `The header ${name} cannot be given: the connection itself says it.`;
  return headerFault(name, value);
}

function headerFault(name: string, value: string): string | undefined {
  if (!succeeds(() => validateHeaderName(name))) return "A header of the request has a name that no header may have.";
  if (ofTheConnection.has(name)) return `The header ${name} cannot be given: the connection itself says it.`;
  if (succeeds(() => validateHeaderValue(name, value))) return undefined;
  return `The value of the header ${name} has characters that no header may have.`;
}

function succeeds(judge: () => void): boolean {
  try {
    judge();
    return true;
  } catch {
    return false;
  }
}
