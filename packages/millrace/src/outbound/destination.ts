/**
 * Where a request may lead: over http or https, to public addresses only. Pure. The URL is judged before every request,
 * because connecting to an address asks no resolver; what a name resolves to is judged as it is connected to.
 */
import { isIP } from "node:net";
import { OutboundError } from "@millrace/engine";
import ipaddr from "ipaddr.js";

export interface DestinationRule {
  /** For receivers of one's own machine or network. */
  allowPrivateDestinations: boolean;
}

/** The only IPv6 addresses that are given to hosts of the internet; ipaddr.js also calls the unassigned rest unicast. */
const globalUnicast = ipaddr.IPv6.parseCIDR("2000::/3");

/**
 * The URL, if a request may go there as far as the URL itself says. Parsing brings all forms of an address (decimal,
 * octal, hexadecimal, shortened, in other scripts) into one.
 * @throws OutboundError "refused"
 */
export function toDestination(text: string, rule: DestinationRule): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw new OutboundError("refused", "That is not a URL.");
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new OutboundError("refused", `Requests go out over http and https only, not over ${url.protocol}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new OutboundError("refused", `The URL to ${url.host} has a user name or a password; put them into a header.`);
  }
  const host = hostOf(url);
  if (isIP(host) !== 0) permittedAddresses(url, [host], rule);
  return url;
}

/**
 * Those of the addresses behind a URL that may be connected to; never none.
 * @throws OutboundError "refused"
 */
export function permittedAddresses(url: URL, addresses: readonly string[], rule: DestinationRule): readonly string[] {
  if (rule.allowPrivateDestinations) return addresses;
  const permitted = addresses.filter(isPublicAddress);
  if (permitted.length > 0) return permitted;
  throw new OutboundError(
    "refused",
    `${url.origin}/ leads to ${addresses[0]}, which is not a public address. ` +
      "Start the server with --allow-private-destinations to allow this.",
  );
}

/** Addresses that carry another one (IPv4-mapped, 6to4, NAT64, Teredo) are not public, whatever they carry. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== "unicast") return false;
  return parsed.kind() === "ipv4" || parsed.match(globalUnicast);
}

/** A name, or an address without brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}
