/** What was used as a key is found again, with its offset and its digest. */
import { checkEqual, checkRejects } from "../check.ts";
import { born, type LogCase, record, records, someTime } from "./log-case.ts";

const odd = [
  "c: ",
  "c:'quoted\"",
  "c:🦦",
  "c:\u2028",
  "c:\u0000nul",
  "c:%_*",
  "c:é",
  "c:e\u0301",
  `c:${"k".repeat(255)}`,
];

export const keyCases: readonly LogCase[] = [
  {
    name: "a key is found with its offset and digest, and no other is",
    async run({ directory }) {
      const writer = await born(directory, "/a", 1);
      const keys = [
        { key: "c:one", offset: 2, digest: "0123456789abcdef" },
        { key: "d:derived", offset: 3, digest: "" },
      ];
      await writer.append([record(2), record(3)], { keys });
      await writer.append([record(4)], { keys: [{ key: "c:three", offset: 4, digest: "third" }] });
      const found = await writer.log.findKeys(["c:one", "c:two", "c:three", "d:derived", "c:ONE", "one"]);
      checkEqual(
        [...found.values()].sort((a, b) => a.offset - b.offset),
        [...keys, { key: "c:three", offset: 4, digest: "third" }],
        "found",
      );
      for (const [key, entry] of found) checkEqual(entry.key, key, "the key that it stands under");
    },
  },
  {
    name: "500 keys are written and found at once",
    async run({ directory }) {
      const writer = await born(directory, "/a", 1);
      const keys = Array.from({ length: 500 }, (_, i) => ({ key: `c:key ${i}`, offset: i + 2, digest: `digest ${i}` }));
      await writer.append(records(500, 2), { keys });
      const asked = keys.flatMap(({ key }) => [`${key} of nobody`, key]);
      const found = await writer.log.findKeys(asked);
      checkEqual(
        [...found.values()].sort((a, b) => a.offset - b.offset),
        keys,
        "found",
      );
    },
  },
  {
    name: "a key may be any text",
    async run({ directory }) {
      const writer = await born(directory, "/a", 1);
      const keys = odd.map((key, i) => ({ key, offset: i + 2, digest: `${i}` }));
      await writer.append(records(odd.length, 2), { keys });
      const found = await writer.log.findKeys(odd);
      for (const entry of keys) checkEqual(found.get(entry.key), entry, JSON.stringify(entry.key));
    },
  },
  {
    name: "a commit with a key that was used is a conflict, and writes nothing; what comes behind it is committed",
    async run({ directory }) {
      const stream = await born(directory, "/a", 1);
      await stream.append([record(2)], { keys: [{ key: "d:once", offset: 2, digest: "" }] });
      const keys = [
        { key: "d:new", offset: 3, digest: "" },
        { key: "d:once", offset: 4, digest: "" },
      ];
      const commit = { first: 3, records: records(2, 3), at: someTime, keys };
      await checkRejects(stream.log.append(commit, stream.head), "HeadConflict", "a used key");
      checkEqual((await stream.log.findKeys(["d:new", "d:once"])).get("d:once")?.offset, 2, "the key");
      checkEqual((await stream.log.findKeys(["d:new"])).size, 0, "a key beside it");
      checkEqual((await stream.log.load()).head.offset, 2, "the head");
      await stream.append([record(3)], { keys: [{ key: "d:new", offset: 3, digest: "" }] });
      checkEqual((await stream.log.load()).head.offset, 3, "the head behind another commit");
    },
  },
  {
    name: "keys belong to one stream of one project",
    async run({ directory }) {
      const elsewhere = await born(directory, "/a", 1, "another");
      const before = await born(directory, "/before", 1);
      const one = await born(directory, "/a", 1);
      const other = await born(directory, "/a/b", 1);
      const behind = await born(directory, "/behind", 1);
      await one.append([record(2)], { keys: [{ key: "c:k", offset: 2, digest: "one" }] });
      await other.append([record(2)], { keys: [{ key: "c:k", offset: 2, digest: "other" }] });
      checkEqual((await one.log.findKeys(["c:k"])).get("c:k")?.digest, "one", "in one stream");
      checkEqual((await other.log.findKeys(["c:k"])).get("c:k")?.digest, "other", "in the other stream");
      for (const stream of [elsewhere, before, behind]) {
        checkEqual((await stream.log.findKeys(["c:k"])).size, 0, `in another stream, ${stream.path}`);
      }
    },
  },
];
