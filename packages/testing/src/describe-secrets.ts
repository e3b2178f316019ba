/**
 * The suite of the port Secrets: every adapter passes it before it lands. Used as `describeLog` is:
 *
 *     for (const { name, run } of describeSecrets(createStore, { persistent: true })) test(name, run);
 */
import type { Secrets } from "@millrace/engine";
import type { Limits } from "@millrace/protocol";
import { check, checkEqual, checkRejects } from "./check.ts";
import type { SuiteCase } from "./describe-log.ts";

/** Secrets made for one case. */
export interface SecretsStore {
  secrets: Secrets;
  /** The same again, as after a restart. Only for adapters that persist. */
  reopen?(): Promise<Secrets>;
  /** Removes every trace. */
  dispose(): Promise<void>;
}

interface SecretsCase {
  name: string;
  run(store: SecretsStore): Promise<void>;
}

/** With these the adapter has to be made. */
export const secretsSuiteLimits: Pick<Limits, "secretsPerProject" | "secretBytes"> = {
  secretsPerProject: 3,
  secretBytes: 64,
};

export function describeSecrets(
  create: (limits: Partial<Limits>) => Promise<SecretsStore>,
  { persistent }: { persistent: boolean },
): SuiteCase[] {
  const cases = persistent ? [...anywhereCases, ...reopenCases] : anywhereCases;
  return cases.map(({ name, run }) => ({
    name,
    async run() {
      const store = await create(secretsSuiteLimits);
      try {
        await run(store);
      } finally {
        await store.dispose();
      }
    },
  }));
}

const hosts = ["api.example.com"];
const url = "https://api.example.com/v1?key=in-the-url";
const secret = (name: string, value = "v", more: object = {}) => ({ name, value, hosts, ...more });

const anywhereCases: readonly SecretsCase[] = [
  {
    name: "what is set is revealed, to its host",
    async run({ secrets }) {
      const value = "ä\n🔑 \u0000 value";
      const note = await secrets.set("p", secret("A.b_c-1", value, { description: "for tests" }));
      checkEqual(Object.keys(note).sort(), ["createdAt", "description", "hosts", "name", "updatedAt"], "the note");
      checkEqual(note.createdAt, note.updatedAt, "times of a new one");
      checkEqual(await secrets.reveal("p", "A.b_c-1", url), value, "the value");
    },
  },
  {
    name: "a list is by name, without values, and of one project",
    async run({ secrets }) {
      for (const name of ["b", "a", "B"]) await secrets.set("p", secret(name, "not-to-be-listed"));
      await secrets.set("other", secret("c", "w", { description: "d" }));
      const listed = await secrets.list("p");
      checkEqual(
        listed.map(({ name }) => name),
        ["B", "a", "b"],
        "names",
      );
      check(!JSON.stringify(listed).includes("not-to-be-listed"), "a list holds a value");
      const [note] = await secrets.list("other");
      checkEqual([note?.name, note?.hosts, note?.description], ["c", hosts, "d"], "of the other project");
      checkEqual(await secrets.list("__proto__"), [], "of no project");
    },
  },
  {
    name: "the same name again replaces it whole, and keeps when it was made",
    async run({ secrets }) {
      const first = await secrets.set("p", secret("a", "old", { description: "old" }));
      await secrets.set("p", { name: "a", value: "new", hosts: ["*.example.org"] });
      const [note, more] = await secrets.list("p");
      checkEqual(
        [note?.hosts, note?.description, note?.createdAt, more],
        [["*.example.org"], undefined, first.createdAt, undefined],
        "the note",
      );
      checkEqual(await secrets.reveal("p", "a", "https://x.example.org/"), "new", "the value");
      await checkRejects(secrets.reveal("p", "a", url), "SecretError", "its old host");
    },
  },
  {
    name: "what was removed is gone, and removing it again says so",
    async run({ secrets }) {
      await secrets.set("p", secret("a"));
      checkEqual(await secrets.remove("other", "a"), false, "in another project");
      checkEqual(await secrets.remove("p", "a"), true, "at first");
      checkEqual(await secrets.remove("p", "a"), false, "again");
      checkEqual(await secrets.list("p"), [], "the list");
      await checkRejects(secrets.reveal("p", "a", url), "SecretError", "its value");
    },
  },
  {
    name: "a value goes nowhere but to its hosts, and the refusal says neither value nor URL",
    async run({ secrets }) {
      const pinned = ["api.example.com", "*.example.org", "a.example.net:8443", "http://localhost:4000"];
      await secrets.set("p", { name: "a", value: "the-value", hosts: pinned });
      const good = [
        "https://api.example.com/x",
        "https://API.example.com:443/",
        "https://a.b.example.org/",
        "https://a.example.net:8443/",
        "http://localhost:4000/hook",
      ];
      for (const each of good) checkEqual(await secrets.reveal("p", "a", each), "the-value", each);
      const bad = [
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "https://api.example.com.evil.example/",
        "https://x.api.example.com/",
        "https://api.example.com@evil.example/",
        "https://example.org/",
        "https://notexample.org/",
        "https://a.example.net/",
        "https://localhost:4000/",
        "http://localhost:4001/",
        "no url",
        "",
      ];
      for (const each of bad) {
        const refusal = await refusalOf(secrets.reveal("p", "a", `${each}?key=in-the-url`));
        checkEqual(refusal.name, "SecretError", each);
        check(!/the-value|in-the-url/.test(refusal.message), `${each}: the refusal says ${refusal.message}`);
        check(refusal.message.includes('"a"'), `${each}: the refusal does not name the secret: ${refusal.message}`);
      }
    },
  },
  {
    name: "a refusal names the hosts, and how to set what is not there",
    async run({ secrets }) {
      await secrets.set("p", secret("a"));
      const elsewhere = await refusalOf(secrets.reveal("p", "a", "https://evil.example/"));
      for (const word of ["api.example.com", "evil.example"])
        check(elsewhere.message.includes(word), elsewhere.message);
      const unknown = await refusalOf(secrets.reveal("p", "b", url));
      check(unknown.message.includes("millrace secrets set b"), unknown.message);
      await checkRejects(secrets.reveal("other", "a", url), "SecretError", "of another project");
    },
  },
  {
    name: "there are so many for a project, and replacing one is not one more",
    async run({ secrets }) {
      for (const name of ["a", "b", "c"]) await secrets.set("p", secret(name));
      const refusal = await refusalOf(secrets.set("p", secret("d")));
      checkEqual([refusal.code, refusal.data?.limit], ["rate_limited", 3], "a fourth");
      await secrets.set("p", secret("c", "new"));
      await secrets.set("other", secret("d"));
      await secrets.remove("p", "a");
      await secrets.set("p", secret("d"));
      checkEqual((await secrets.list("p")).length, 3, "how many");
    },
  },
  {
    name: "a value has so many bytes",
    async run({ secrets }) {
      await secrets.set("p", secret("a", "ä".repeat(32)));
      const refusal = await refusalOf(secrets.set("p", secret("a", `${"ä".repeat(32)}x`)));
      checkEqual([refusal.code, refusal.data?.limit], ["too_large", 64], "one more");
      checkEqual(await secrets.reveal("p", "a", url), "ä".repeat(32), "the value before");
    },
  },
  {
    name: "what is no secret is refused by its field, and the refusal does not say the value",
    async run({ secrets }) {
      const wrong: [field: string, input: object][] = [
        ["name", { name: "" }],
        ["name", { name: "the-value/x" }],
        ["name", { name: ".." }],
        ["name", { name: "a".repeat(256) }],
        ["value", { value: "" }],
        ["value", { value: "the-value\ud800" }],
        ["hosts", { hosts: [] }],
        ["hosts", { hosts: ["https://a.example/path"] }],
        ["hosts", { hosts: ["*.com"] }],
        ["hosts", { hosts: ["*"] }],
        ["hosts", { hosts: Array(101).fill("a.example") }],
        ["hosts", { hosts: [`${"a".repeat(300)}.example`] }],
        ["description", { description: "d".repeat(1_001) }],
      ];
      for (const [field, input] of wrong) {
        const refusal = await refusalOf(secrets.set("p", { ...secret("a", "the-value"), ...input }));
        checkEqual([refusal.code, refusal.data?.field], ["invalid_request", field], JSON.stringify(input));
        check(!refusal.message.includes("the-value"), refusal.message);
      }
      checkEqual(await secrets.list("p"), [], "the list");
    },
  },
  {
    name: "changes at the same time are all made",
    async run({ secrets }) {
      const names = ["a", "b", "c"];
      await Promise.all(names.map((name) => secrets.set("p", secret(name, `${name}-value`))));
      await Promise.all([
        secrets.remove("p", "b"),
        secrets.set("p", secret("a", "last")),
        secrets.set("q", secret("a")),
      ]);
      checkEqual(
        (await secrets.list("p")).map(({ name }) => name),
        ["a", "c"],
        "names",
      );
      checkEqual(await secrets.reveal("p", "a", url), "last", "the last value");
    },
  },
  {
    name: "what is derived is 32 bytes, the same for the same purpose and for no other",
    async run({ secrets }) {
      const purposes = [
        ["a", "b"],
        ["ab"],
        ["a", "b", ""],
        ["", "a", "b"],
        ["a,b"],
        ['a","b'],
        [],
        [""],
        ["\ud800"],
        ["\udfff"],
      ];
      const derived = await Promise.all(purposes.map((purpose) => secrets.derive(purpose)));
      for (const bytes of derived) check(bytes instanceof Uint8Array && bytes.length === 32, "32 bytes");
      checkEqual(new Set(derived.map(String)).size, purposes.length, "how many are different");
      checkEqual(String(await secrets.derive(["a", "b"])), String(derived[0]), "again");
    },
  },
];

const reopenCases: readonly SecretsCase[] = [
  {
    name: "everything is there after a restart, and what was removed is not",
    async run({ secrets, reopen }) {
      if (reopen === undefined) throw new Error("a store that persists can be reopened");
      await secrets.set("p", secret("a", "the value", { description: "d" }));
      await secrets.set("p", secret("b"));
      await secrets.remove("p", "b");
      const [listed, derived] = [await secrets.list("p"), await secrets.derive(["x"])];
      const again = await reopen();
      checkEqual(await again.list("p"), listed, "the list");
      checkEqual(await again.reveal("p", "a", url), "the value", "the value");
      checkEqual(String(await again.derive(["x"])), String(derived), "what is derived");
    },
  },
  {
    name: "what is derived is the same after a restart, also where there never was a secret",
    async run({ secrets, reopen }) {
      if (reopen === undefined) throw new Error("a store that persists can be reopened");
      const derived = await secrets.derive(["x"]);
      checkEqual(String(await (await reopen()).derive(["x"])), String(derived), "what is derived");
    },
  },
];

interface Refusal extends Error {
  code?: string;
  data?: { limit?: number; field?: string };
}

async function refusalOf(promise: Promise<unknown>): Promise<Refusal> {
  return promise.then(
    () => Promise.reject(new Error("it was not refused")),
    (error: Refusal) => error,
  );
}
