/** Where a request of deployed code would reach this very server, as far as the server knows its own names. */
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import ipaddr from "ipaddr.js";
import { hostOf } from "../../outbound/destination.ts";

export interface OwnNames {
  /** Where it listens. */
  url: string;
  publicUrl?: string | undefined;
  /** Further names that it answers to. */
  hosts?: readonly string[] | undefined;
}

/** Of this machine; reached where private destinations are allowed. */
const loopback = ["localhost", "127.0.0.1", "[::1]"];

export function ownOrigins({ url, publicUrl, hosts = [] }: OwnNames): string[] {
  const { port, hostname } = new URL(url);
  const everywhere = hostname === "0.0.0.0" || hostname === "[::]";
  const near = [...loopback, ...(everywhere ? ownAddresses() : [])].map((host) => `http://${host}:${port}`);
  const named = hosts.flatMap((host) => [`https://${host}`, `http://${host}`, `http://${host}:${port}`]);
  const all = [url, ...near, ...(publicUrl === undefined ? [] : [publicUrl]), ...named];
  return [...new Set(all.filter((text) => URL.canParse(text)).map((text) => new URL(text).origin))];
}

export function isOwn(url: URL, origins: readonly string[]): boolean {
  const wanted = plainOrigin(url);
  return origins.some((origin) => plainOrigin(new URL(origin)) === wanted);
}

function plainOrigin(url: URL): string {
  const plain = new URL(url);
  // A dot at the end of a name changes nothing of where it leads.
  plain.hostname = url.hostname.replace(/\.$/, "");
  plain.hostname = plainHost(hostOf(plain));
  return plain.origin;
}

/** All that lead to this machine itself by one name, and an IPv4 address within an IPv6 one by itself. */
function plainHost(host: string): string {
  if (isIP(host) === 0) return host === "localhost" || host.endsWith(".localhost") ? "localhost" : host;
  const address = ipaddr.process(host);
  const range = address.range();
  if (range === "loopback" || address.toString() === "0.0.0.0" || address.toString() === "::") return "localhost";
  return address.kind() === "ipv6" ? `[${address}]` : address.toString();
}

function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all
    .filter(({ internal }) => !internal)
    .map(({ address, family }) => (family === "IPv6" ? `[${address}]` : address));
}
