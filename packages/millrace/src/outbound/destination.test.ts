import { describe, expect, test } from "vitest";
import { addressesInDisguise, reservedBlocks } from "../../test/hostile-addresses.ts";
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

test.each(reservedBlocks)("%s is not public, its neighbours are", (_block, first, last, below, above) => {
  expect([isPublicAddress(first), isPublicAddress(last)]).toEqual([false, false]);
  for (const neighbour of [below, above]) if (neighbour !== null) expect(isPublicAddress(neighbour)).toBe(true);
});
