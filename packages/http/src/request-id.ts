/** What a request is called, in the answer that refuses it and in the lines that the server logs about it. */
import type { Incoming } from "./exchange.ts";

/** That of the caller, if it is fit to be logged; else a new one. Asked for only when something went wrong. */
export function requestIdOf(incoming: Incoming): string {
  const sent = incoming.header("x-request-id");
  return sent !== undefined && /^[\w.:+/=@~-]{1,128}$/.test(sent) ? sent : crypto.randomUUID();
}
