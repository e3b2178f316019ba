/** Records that deploy code, which an adapter may keep once: nobody sees that, every record is what was appended. */
import { check, checkEqual, checkRejects } from "../check.ts";
import { type LogCase, record, records, StreamWriter } from "./log-case.ts";

const type = "https://events.iterate.com/events/stream/dynamic-worker/configured";

function deployed(payload: object, more = ""): string {
  return `"type":"${type}","payload":${JSON.stringify(payload)}${more},"createdAt":"2026-01-01T00:00:00.000Z"}`;
}

const line = 'const text = "quoted \\" \\\\ and \\n", é = `🦦 #}`; // "]\n';
const code = line.repeat(100);

/** Every one of them as the engine would write it. */
export const deployments: string[] = [
  deployed({ slug: "p", script: code }),
  deployed({ slug: "p", script: code, env: { A: code }, startFrom: 7 }),
  deployed({ env: { script: "no", modules: [{ "}": '"' }] }, slug: "p", limits: { cpuMs: 5 }, script: code }),
  deployed({ slug: "p", modules: { "processor.ts": code, "b.json": "{}", ["__proto__"]: "{" }, main: "processor.ts" }),
  deployed({ slug: 'a"script":"b', script: `${code}\\` }),
  deployed({ slug: "p", script: `\ud800${code}\u2028\u0000\u0001` }),
  deployed({ slug: "p", script: "short" }),
  deployed({ slug: "p", script: "x".repeat(1_022) }),
  deployed({ slug: "p", script: "x".repeat(1_021) }),
  deployed({ slug: "p", script: code }, `,"metadata":{"script":${JSON.stringify(code)}},"idempotencyKey":"k"`),
  ` ${deployed({ slug: "p", script: code })}`,
  deployed({ script: "x".repeat(300_000) }),
  // Not what a contract lets through, and kept all the same.
  deployed({ slug: "p".repeat(2_000) }),
  deployed({ slug: "p", script: 7, modules: null, more: code }),
  deployed([code]),
  `"type":"${type}","payload":null,"metadata":${JSON.stringify({ script: code })},"createdAt":"2026-01-01T00:00:00.000Z"}`,
];

const everything = { after: 0, maxEvents: 1e9, maxBytes: 1e9 };

export const codeCases: readonly LogCase[] = [
  {
    name: "deployments come back as they were appended, one by one",
    async run({ directory }) {
      const writer = new StreamWriter(directory, "/a");
      for (const each of deployments) await writer.append([each]);
      checkEqual(await writer.all(), deployments, "records");
      for (const [i, each] of deployments.entries()) {
        const page = await writer.log.read({ after: i, through: i + 1, maxEvents: 9, maxBytes: 1 });
        checkEqual(page, { first: i + 1, records: [each] }, `record ${i + 1}`);
      }
      const { commits } = await directory.readPositions({ project: "public", prefix: "/", ...everything });
      checkEqual(
        commits.flatMap((commit) => commit.records),
        deployments,
        "records by position",
      );
    },
  },
  {
    name: "deployments in a batch, between other records",
    async run({ directory }) {
      const writer = new StreamWriter(directory, "/a");
      const batch = deployments.flatMap((each, i) => [...records(i % 3, 100 * i), each]);
      await writer.append(batch);
      await writer.append([record("behind")], { keys: [{ key: "c:k", offset: batch.length + 1, digest: "d" }] });
      const all = [...batch, record("behind")];
      checkEqual(await writer.all(), all, "records");
      const { commits } = await directory.readPositions({ project: "public", prefix: "/", ...everything });
      for (const { first, records: found } of commits) {
        checkEqual(found, all.slice(first - 1, first - 1 + found.length), `records from ${first}`);
      }
      checkEqual(
        commits.flatMap((commit) => commit.records),
        all,
        "records by position",
      );
      for (let after = 0; after < all.length; after += 3) {
        const { first, records: found } = await writer.log.read({ after, through: 1e9, maxEvents: 4, maxBytes: 1e9 });
        checkEqual({ first, found }, { first: after + 1, found: all.slice(after, after + 4) }, `read after ${after}`);
      }
    },
  },
  {
    name: "a page is bounded by the bytes of what it gives, code and all",
    async run({ directory }) {
      const writer = new StreamWriter(directory, "/a");
      const each = deployed({ slug: "p", script: code });
      for (let i = 0; i < 5; i++) await writer.append([each]);
      const { length } = (await writer.log.read({ after: 0, through: 5, maxEvents: 9, maxBytes: 2 * each.length }))
        .records;
      checkEqual(length, 2, "records in a page");
      const range = { project: "public", prefix: "/", after: 0, maxEvents: 9, maxBytes: 2 * each.length };
      checkEqual((await directory.readPositions(range)).commits.length, 2, "commits in a page");
    },
  },
  {
    name: "what shares code with others is removed without them",
    async run({ directory }) {
      const each = deployed({ slug: "p", script: code });
      const writers = ["/a", "/b", "/c"].map((path) => new StreamWriter(directory, path));
      const other = new StreamWriter(directory, "/a", "other");
      for (const writer of [...writers, other]) await writer.append([each, each]);
      const [a, b, c] = writers as [StreamWriter, StreamWriter, StreamWriter];
      await a.remove();
      await b.remove();
      await b.append([each]);
      checkEqual(await a.all(), [], "records of what was removed");
      checkEqual(await b.all(), [each], "records of the next life");
      checkEqual(await c.all(), [each, each], "records of another stream");
      checkEqual(await other.all(), [each, each], "records of another project");
      for (const writer of [b, c, other]) await writer.remove();
      await c.append([each]);
      checkEqual(await c.all(), [each], "records when all others are gone");
    },
  },
  {
    name: "a deployment that meets another writer's commit leaves nothing",
    async run({ directory }) {
      const writer = new StreamWriter(directory, "/a");
      await writer.append(records(1));
      const late = writer.head;
      await writer.append([record("first")]);
      const each = deployed({ slug: "p", script: code });
      const commit = { first: 2, records: [each], at: 1, keys: [] };
      await checkRejects(writer.log.append(commit, late), "HeadConflict", "a late deployment");
      checkEqual(await writer.all(), [...records(1), record("first")], "records");
      await writer.append([each]);
      check((await writer.all()).at(-1) === each, "the deployment is there");
    },
  },
];
