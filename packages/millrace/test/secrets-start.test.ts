/** What a data directory may look like when a server starts on it: each bad state is one line that says what to do. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { filled, type Place, place, someKey } from "./secret-places.ts";

interface BadState {
  state: string;
  make(at: Place): void;
  key?: string;
  /** Of the message; `<file>` and `<key file>` are the two paths. */
  says: string;
}

interface Entry {
  project: string;
  name: string;
  hosts: string[];
  sealed: string;
}

interface Content {
  version: number;
  secrets: Entry[];
}

/** A state in which somebody has changed the file. */
function edited(change: (content: Content, a: Entry, b: Entry) => object): BadState["make"] {
  return ({ file }) => {
    const content = JSON.parse(readFileSync(file, "utf8")) as Content;
    const [a, b] = content.secrets as [Entry, Entry];
    writeFileSync(file, JSON.stringify({ ...content, ...change(content, a, b) }));
  };
}

const flipped = (sealed: string): string => {
  const bytes = Buffer.from(sealed, "base64");
  bytes[20] = (bytes[20] as number) ^ 1;
  return bytes.toString("base64");
};

const byHand = (name: string) =>
  `The secret "${name}" of project "public" in <file> is damaged, or was changed by another hand. Restore the file`;

const badStates: BadState[] = [
  {
    state: "the key is missing",
    make: ({ keyFile }) => rmSync(keyFile),
    says: "<key file> is missing, and <file> was sealed with it. Restore it from a copy, or give the key in MILLRACE_SECRETS_KEY.",
  },
  {
    state: "the key is of another server",
    make: ({ keyFile }) => writeFileSync(keyFile, someKey),
    says: "<file> was sealed with another key than that in <key file>. Restore the right one.",
  },
  {
    state: "the key of the environment is another one",
    make: () => {},
    key: someKey,
    says: "<file> was sealed with another key than that of MILLRACE_SECRETS_KEY.",
  },
  {
    state: "the key is cut off",
    make: ({ keyFile }) => truncateSync(keyFile, 30),
    says: "<key file> is damaged: it is no key of 32 bytes. Restore it",
  },
  {
    state: "the key is empty",
    make: ({ keyFile }) => truncateSync(keyFile, 0),
    says: "<key file> is damaged",
  },
  {
    state: "the key is something large",
    make: ({ keyFile }) => writeFileSync(keyFile, someKey.repeat(100)),
    says: "<key file> is damaged",
  },
  {
    state: "the key is a directory",
    make({ keyFile }) {
      rmSync(keyFile);
      mkdirSync(keyFile, { mode: 0o700 });
    },
    says: "<key file>",
  },
  {
    state: "others can read the key",
    make: ({ keyFile }) => chmodSync(keyFile, 0o644),
    says: '<key file> is open to other users (mode 0644). Close it with "chmod 600 <key file>"',
  },
  {
    state: "the group can write the key",
    make: ({ keyFile }) => chmodSync(keyFile, 0o620),
    says: "<key file> is open to other users (mode 0620)",
  },
  {
    state: "the secrets are cut off",
    make: ({ file }) => truncateSync(file, 200),
    says: "<file> is damaged: it is no JSON. Restore it from a copy",
  },
  {
    state: "the secrets are empty",
    make: ({ file }) => truncateSync(file, 0),
    says: "<file> is damaged: it is no JSON",
  },
  {
    state: "the secrets are a directory",
    make({ file }) {
      rmSync(file);
      mkdirSync(file);
    },
    says: "<file> cannot be used",
  },
  {
    state: "the secrets are something else",
    make: ({ file }) => writeFileSync(file, "[1]"),
    says: "<file> is damaged: it has no version",
  },
  {
    state: "the secrets are of a newer version",
    make: edited(() => ({ version: 2 })),
    says: "<file> is of version 2; this Millrace reads version 1. Use the Millrace that wrote it.",
  },
  {
    state: "an entry is none",
    make: edited((_, a, { name }) => ({ secrets: [a, { name }] })),
    says: "<file> is damaged: entry 2 is no secret",
  },
  {
    state: "an entry is there twice",
    make: edited((_, a, b) => ({ secrets: [a, b, a] })),
    says: "<file> is damaged: it has two secrets of one name",
  },
  {
    state: "a value is damaged",
    make: edited((_, a, b) => ({ secrets: [{ ...a, sealed: flipped(a.sealed) }, b] })),
    says: byHand("A"),
  },
  {
    state: "a value is cut off",
    make: edited((_, a, b) => ({ secrets: [{ ...a, sealed: "AAAA" }, b] })),
    says: byHand("A"),
  },
  {
    state: "a secret is pinned elsewhere by hand",
    make: edited((_, a, b) => ({ secrets: [{ ...a, hosts: ["evil.example"] }, b] })),
    says: byHand("A"),
  },
  {
    state: "a secret has one host more",
    make: edited((_, a, b) => ({ secrets: [a, { ...b, hosts: [...b.hosts, "evil.example"] }] })),
    says: byHand("B"),
  },
  {
    state: "the value of one secret is moved to another",
    make: edited((_, a, b) => ({ secrets: [a, { ...b, sealed: a.sealed }] })),
    says: byHand("B"),
  },
  {
    state: "a secret is moved to another project",
    make: edited((_, a, b) => ({ secrets: [{ ...a, project: "other" }, b] })),
    says: 'The secret "A" of project "other"',
  },
  {
    state: "a secret has another name",
    make: edited((_, a, b) => ({ secrets: [{ ...a, name: "C" }, b] })),
    says: byHand("C"),
  },
];

describe("a start on a directory in which", () => {
  test.each(badStates)("$state ends with one line that says what to do", async ({ make, key, says }) => {
    const at = await filled();
    make(at);
    const before = readdirSync(at.directory).sort();
    const error = faultOf(() => at.open(key));
    expect(error.name).toBe("DataFault");
    const message = error.message.replaceAll(at.keyFile, "<key file>").replaceAll(at.file, "<file>");
    expect(message).toContain(says);
    expect(message).not.toContain("\n");
    expect(message).not.toMatch(/value-of|00112233/);
    expect(readdirSync(at.directory).sort()).toEqual(before);
  });

  test.each([
    ["empty", ""],
    ["short", "abc"],
    ["a passphrase", "correct horse battery staple"],
    ["one hex character short", someKey.slice(1)],
    ["16 bytes", "00112233445566778899aabbccddeeff"],
    ["no base64", `${"?".repeat(43)}=`],
    ["33 bytes", Buffer.alloc(33, 1).toString("base64")],
  ])("MILLRACE_SECRETS_KEY is %s: so too, and its value is not said", (_, key) => {
    const error = faultOf(() => place().open(key));
    expect(error.name).toBe("DataFault");
    expect(error.message).toContain("MILLRACE_SECRETS_KEY is a key of 32 bytes");
    if (key !== "") expect(error.message).not.toContain(key);
  });

  test("a key that lost its secrets file is a start with nothing", async () => {
    const at = await filled();
    rmSync(at.file);
    expect(await at.open().list("public")).toEqual([]);
  });

  test("a key that was only derived from is missed as well", async () => {
    const at = place();
    await at.open().derive(["x"]);
    rmSync(at.keyFile);
    expect(faultOf(() => at.open()).message).toContain("is missing");
  });
});

function faultOf(run: () => unknown): Error {
  try {
    run();
  } catch (error) {
    return error as Error;
  }
  throw new Error("it was not refused");
}
