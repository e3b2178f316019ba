import { describe, expect, test } from "vitest";
import { isPublicAddress, permittedAddresses, toDestination } from "./destination.ts";

const strict = { allowPrivateDestinations: false };
const open = { allowPrivateDestinations: true };

function refusalOf(act: () => unknown): { reason?: string; message?: string } {
  try {
    act();
    return {};
  } catch (error) {
    return error as { reason: string; message: string };
  }
}

/** What a URL says, and the address that it leads to. */
const addressesInDisguise: [string, string][] = [
  ["http://169.254.169.254/", "169.254.169.254"],
  ["http://169.254.169.254/latest/meta-data/", "169.254.169.254"],
  ["http://127.0.0.1/", "127.0.0.1"],
  ["https://127.0.0.1:8443/", "127.0.0.1"],
  ["http://127.0.0.1./", "127.0.0.1"],
  ["http://127.1/", "127.0.0.1"],
  ["http://127.0.1/", "127.0.0.1"],
  ["http://2130706433/", "127.0.0.1"],
  ["http://0177.0.0.1/", "127.0.0.1"],
  ["http://017700000001/", "127.0.0.1"],
  ["http://0x7f.0.0.1/", "127.0.0.1"],
  ["http://0x7f000001/", "127.0.0.1"],
  ["http://0x7F.1/", "127.0.0.1"],
  ["http://%31%32%37.0.0.1/", "127.0.0.1"],
  ["http://１２７.０.０.１/", "127.0.0.1"],
  ["http://①②⑦.⓪.⓪.①/", "127.0.0.1"],
  ["http://127。0。0。1/", "127.0.0.1"],
  ["http:127.0.0.1", "127.0.0.1"],
  ["http:\\\\127.0.0.1\\", "127.0.0.1"],
  ["  http://127.0.0.1/  ", "127.0.0.1"],
  ["http://0/", "0.0.0.0"],
  ["http://0.0.0.0/", "0.0.0.0"],
  ["http://[::]/", "::"],
  ["http://[::1]/", "::1"],
  ["http://[0:0:0:0:0:0:0:1]/", "::1"],
  ["http://[::ffff:127.0.0.1]/", "::ffff:7f00:1"],
  ["http://[::ffff:7f00:1]/", "::ffff:7f00:1"],
  ["http://[::ffff:93.184.216.34]/", "::ffff:5db8:d822"],
  ["http://[::127.0.0.1]/", "::7f00:1"],
  ["http://[::ffff:0:127.0.0.1]/", "::ffff:0:7f00:1"],
  ["http://[64:ff9b::127.0.0.1]/", "64:ff9b::7f00:1"],
  ["http://[64:ff9b:1::a00:1]/", "64:ff9b:1::a00:1"],
  ["http://[2002:7f00:1::]/", "2002:7f00:1::"],
  ["http://[2001:0:5ef5:79fb::1]/", "2001:0:5ef5:79fb::1"],
  ["http://10.0.0.1/", "10.0.0.1"],
  ["http://172.16.0.1/", "172.16.0.1"],
  ["http://172.31.255.255/", "172.31.255.255"],
  ["http://192.168.1.1/", "192.168.1.1"],
  ["http://100.64.0.1/", "100.64.0.1"],
  ["http://198.18.0.1/", "198.18.0.1"],
  ["http://192.0.2.1/", "192.0.2.1"],
  ["http://224.0.0.1/", "224.0.0.1"],
  ["http://240.0.0.1/", "240.0.0.1"],
  ["http://255.255.255.255/", "255.255.255.255"],
  ["http://[fc00::1]/", "fc00::1"],
  ["http://[fd12:3456::1]/", "fd12:3456::1"],
  ["http://[fe80::1]/", "fe80::1"],
  ["http://[fec0::1]/", "fec0::1"],
  ["http://[ff02::1]/", "ff02::1"],
  ["http://[2001:db8::1]/", "2001:db8::1"],
  ["http://[4000::1]/", "4000::1"],
];

describe("what a URL leads to by itself", () => {
  test.each(addressesInDisguise)("%s is refused: %s", (text, address) => {
    const { reason, message } = refusalOf(() => toDestination(text, strict));
    expect(reason).toBe("refused");
    expect(message).toBe(
      `${new URL(text).origin}/ leads to ${address}, which is not a public address. ` +
        "Start the server with --allow-private-destinations to allow this.",
    );
    expect(toDestination(text, open).href).toBe(new URL(text).href);
  });

  test.each([
    ["file:///etc/passwd", "Requests go out over http and https only, not over file:"],
    ["ftp://93.184.216.34/", "Requests go out over http and https only, not over ftp:"],
    ["gopher://93.184.216.34:25/_", "Requests go out over http and https only, not over gopher:"],
    ["data:text/plain,a", "Requests go out over http and https only, not over data:"],
    ["javascript:alert(1)", "Requests go out over http and https only, not over javascript:"],
    ["unix:/var/run/docker.sock", "Requests go out over http and https only, not over unix:"],
    ["ws://example.com/", "Requests go out over http and https only, not over ws:"],
    ["", "That is not a URL."],
    ["//example.com/", "That is not a URL."],
    ["http://", "That is not a URL."],
    ["http://[fe80::1%25eth0]/", "That is not a URL."],
    ["http://1.2.3.4.5/", "That is not a URL."],
    ["http://999.0.0.1/", "That is not a URL."],
    ["http://example.com:99999/", "That is not a URL."],
    ["http://a:b@example.com/", "The URL to example.com has a user name or a password; put them into a header."],
    ["http://127.0.0.1@example.com/", "The URL to example.com has a user name or a password; put them into a header."],
  ])("%s is refused, whatever is allowed", (text, message) => {
    for (const rule of [strict, open]) {
      expect(refusalOf(() => toDestination(text, rule))).toMatchObject({ reason: "refused", message });
    }
  });

  test.each([
    "http://93.184.216.34/",
    "https://8.8.8.8:8443/a?b",
    "https://[2606:4700:4700::1111]/",
    "https://example.com/hooks/1",
    "http://localhost/",
    "http://münchen.example/",
  ])("%s may be asked for; names are looked at when they are resolved", (text) => {
    expect(toDestination(text, strict).href).toBe(new URL(text).href);
  });
});

describe("what a name resolves to", () => {
  const url = new URL("https://hooks.example/a/secret-path?b");

  test("of several addresses the public ones are used", () => {
    const addresses = ["10.0.0.1", "93.184.216.34", "::1", "2606:4700::1", "::ffff:8.8.8.8", "fe80::1%eth0"];
    expect(permittedAddresses(url, addresses, strict)).toEqual(["93.184.216.34", "2606:4700::1"]);
    expect(permittedAddresses(url, addresses, open)).toEqual(addresses);
  });

  test("with none it is refused, and the path is not told", () => {
    expect(refusalOf(() => permittedAddresses(url, ["127.0.0.1", "::1"], strict))).toMatchObject({
      reason: "refused",
      message:
        "https://hooks.example/ leads to 127.0.0.1, which is not a public address. " +
        "Start the server with --allow-private-destinations to allow this.",
    });
  });

  test("what is no address is not a public one", () => {
    for (const text of ["", "localhost", "127.1", "0x7f000001", "2130706433", "8.8.8", "1.2.3.4/8", "::1/128"]) {
      expect([text, isPublicAddress(text)]).toEqual([text, false]);
    }
  });
});

/** Of each reserved block the first and last address and, where they are public, its neighbours. */
const blocks: [block: string, first: string, last: string, below: string | null, above: string | null][] = [
  ["0.0.0.0/8", "0.0.0.0", "0.255.255.255", null, "1.0.0.0"],
  ["10.0.0.0/8", "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"],
  ["100.64.0.0/10", "100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"],
  ["127.0.0.0/8", "127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"],
  ["169.254.0.0/16", "169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"],
  ["172.16.0.0/12", "172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"],
  ["192.0.0.0/24", "192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"],
  ["192.0.2.0/24", "192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"],
  ["192.88.99.0/24", "192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0"],
  ["192.168.0.0/16", "192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"],
  ["198.18.0.0/15", "198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"],
  ["198.51.100.0/24", "198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"],
  ["203.0.113.0/24", "203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"],
  ["224.0.0.0/3", "224.0.0.0", "255.255.255.255", "223.255.255.255", null],
  ["::/3", "::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", null, null],
  ["2001::/23", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2000:ffff::1", "2001:200::1"],
  ["2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db7::1", "2001:db9::1"],
  ["2002::/16", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:ffff::1", "2003::1"],
  ["3fff::/20", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3ffe::1", "3fff:1000::1"],
  ["4000::/2 and above", "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:ffff::1", null],
];

test.each(blocks)("%s is not public, its neighbours are", (_block, first, last, below, above) => {
  expect([isPublicAddress(first), isPublicAddress(last)]).toEqual([false, false]);
  for (const neighbour of [below, above]) if (neighbour !== null) expect(isPublicAddress(neighbour)).toBe(true);
});
