/** When streams must be opened for what they owe by themselves. */
import type { Directory } from "@millrace/engine";
import { checkEqual } from "../check.ts";
import { born, type LogCase, record, StreamWriter } from "./log-case.ts";

async function sleeping(directory: Directory, path: string, wakeAt: number, project = "public"): Promise<StreamWriter> {
  const writer = new StreamWriter(directory, path, project);
  await writer.append([record(1)], { wakeAt });
  return writer;
}

async function wakes(directory: Directory, after: number, through: number, limit = 100): Promise<unknown> {
  const found = await directory.wakes({ after, through, limit });
  const list = found.wakes.map(({ project, path, wakeAt }) => `${project}${path} ${wakeAt}`);
  return [
    list.sort((a, b) => Number(a.split(" ")[1]) - Number(b.split(" ")[1]) || (a < b ? -1 : 1)),
    found.through,
    found.next,
  ];
}

export const wakeCases: readonly LogCase[] = [
  {
    name: "a wake claim is loaded, replaced and cleared with the commits that say so, also without records",
    async run({ directory }) {
      const writer = await sleeping(directory, "/a", 70);
      const wakeAt = async () => (await writer.log.load()).wakeAt;
      checkEqual(await wakeAt(), 70, "at birth");
      await writer.append([record(2)]);
      checkEqual(await wakeAt(), 70, "after a commit that says nothing of it");
      await writer.append([], { wakeAt: 30 });
      checkEqual(await wakeAt(), 30, "replaced");
      checkEqual(await wakes(directory, 0, 100), [["public/a 30"], 100, null], "asked for");
      await writer.append([record(3)], { wakeAt: null });
      checkEqual(await wakeAt(), null, "cleared");
      checkEqual(await wakes(directory, 0, 100), [[], 100, null], "asked for after all");
    },
  },
  {
    name: "wakes come after one moment and through another, earliest first, of every project, and the first one behind",
    async run({ directory }) {
      await sleeping(directory, "/c", 30);
      await sleeping(directory, "/a", 10, "p");
      await sleeping(directory, "/d", 40);
      await sleeping(directory, "/b", 20);
      await born(directory, "/awake");
      checkEqual(await wakes(directory, Number.NEGATIVE_INFINITY, 9), [[], 9, 10], "before all");
      checkEqual(
        await wakes(directory, Number.NEGATIVE_INFINITY, 30),
        [["p/a 10", "public/b 20", "public/c 30"], 30, 40],
        "some",
      );
      checkEqual(await wakes(directory, 10, 30), [["public/b 20", "public/c 30"], 30, 40], "from behind a moment");
      checkEqual(await wakes(directory, 30, 35), [[], 35, 40], "none in between");
      checkEqual(await wakes(directory, 30, 1e12), [["public/d 40"], 1e12, null], "the last");
      checkEqual(await wakes(directory, 40, 1e12), [[], 1e12, null], "after all");
      const { wakes: found } = await directory.wakes({ after: 0, through: 100, limit: 10 });
      checkEqual(
        found.map(({ wakeAt }) => wakeAt),
        [10, 20, 30, 40],
        "in order",
      );
    },
  },
  {
    name: "a page of wakes ends behind a whole moment, however many have it",
    async run({ directory }) {
      for (let n = 0; n < 5; n++) await sleeping(directory, `/same${n}`, 20);
      await sleeping(directory, "/first", 10);
      await sleeping(directory, "/last", 30);
      const same = Array.from({ length: 5 }, (_, n) => `public/same${n} 20`);
      checkEqual(await wakes(directory, 0, 100, 1), [["public/first 10"], 10, 20], "a page of one");
      checkEqual(await wakes(directory, 0, 100, 2), [["public/first 10", ...same], 20, 30], "a page of two");
      checkEqual(await wakes(directory, 10, 100, 1), [same, 20, 30], "many at once");
      checkEqual(await wakes(directory, 0, 100, 6), [["public/first 10", ...same], 20, 30], "a page that fits");
      checkEqual(await wakes(directory, 0, 20, 6), [["public/first 10", ...same], 20, 30], "a page that ends there");
      checkEqual(await wakes(directory, 0, 100, 7), [["public/first 10", ...same, "public/last 30"], 30, null], "all");
      checkEqual(await wakes(directory, 20, 100, 7), [["public/last 30"], 100, null], "the rest");
    },
  },
  {
    name: "a stream that was deleted is not to be woken, and its next life not before it says so",
    async run({ directory }) {
      const writer = await sleeping(directory, "/a", 10);
      await writer.remove({ dueAt: 5, kind: "deletion" });
      checkEqual(await wakes(directory, 0, 100), [[], 100, null], "after the deletion");
      await writer.append([record(2)]);
      checkEqual(await wakes(directory, 0, 100), [[], 100, null], "in the next life");
      await writer.append([], { wakeAt: 60 });
      checkEqual(await wakes(directory, 0, 100), [["public/a 60"], 100, null], "once it says so");
    },
  },
];
