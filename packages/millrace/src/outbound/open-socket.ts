/**
 * Connects to a destination. A name is resolved here and nowhere else, once for each connection, and what is connected
 * to is what was looked at: a name that changes its address in between changes nothing.
 */
import { isIP, type LookupFunction, connect as openPlain, type Socket } from "node:net";
import { connect as openSecure } from "node:tls";
import { type DestinationRule, hostOf, permittedAddresses } from "./destination.ts";

/** All addresses of a name. */
export type Lookup = (hostname: string) => Promise<readonly string[]>;

/** Before the next address of a name is tried; Node's own quarter of a second is short for the other side of the world. */
const attemptMs = 1_000;

export function openSocket(destination: URL, lookup: Lookup, rule: DestinationRule): Socket {
  const secure = destination.protocol === "https:";
  const host = hostOf(destination);
  const options = {
    host,
    port: Number(destination.port || (secure ? 443 : 80)),
    lookup: checkedLookup(destination, lookup, rule),
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: attemptMs,
    noDelay: true,
  };
  if (!secure) return openPlain(options);
  return openSecure({
    ...options,
    // Whatever the environment says: signatures and secrets travel here.
    rejectUnauthorized: true,
    ALPNProtocols: ["http/1.1"],
    ...(isIP(host) === 0 ? { servername: host.replace(/\.$/, "") } : {}),
  });
}

/** Given to the socket, which asks it for all addresses of a name, and never for those of an address. */
function checkedLookup(destination: URL, lookup: Lookup, rule: DestinationRule): LookupFunction {
  return (hostname, _options, callback) => {
    addressesOf(hostname).then(
      (addresses) => callback(null, addresses),
      (error) => callback(error, []),
    );
  };

  async function addressesOf(hostname: string) {
    const addresses = await lookup(hostname);
    if (addresses.length === 0) throw Object.assign(new Error("The name has no address."), { code: "ENOTFOUND" });
    return permittedAddresses(destination, addresses, rule).map((address) => ({ address, family: isIP(address) }));
  }
}
