/** Lists: by whole segments, in order, in pages, of one project. */
import { check, checkEqual } from "../check.ts";
import { createSeededRandom } from "../seeded-random.ts";
import { born, type LogCase, listAll, record, StreamWriter, someTime } from "./log-case.ts";

/** Names that sort around "/": what stands before it, behind it, and deeper. */
const around = [
  "/a",
  "/a-b",
  "/a.b",
  "/a/b",
  "/a/b/c",
  "/a/c-d",
  "/a0",
  "/a00",
  "/aa",
  "/a/b0",
  "/a/b-",
  "/A",
  "/b/c/d",
];
const odd = ["/.hidden", "/~home", "/@user", "/a+b", "/a=b", "/a:b", "/-", "/UPPER/lower", "/1", "/0", "/...", "/a..b"];

export const listCases: readonly LogCase[] = [
  {
    name: "a summary says what there is to know",
    async run({ directory }) {
      const writer = new StreamWriter(directory, "/a");
      await writer.append([record(1), record(2)], { at: someTime });
      await writer.append([record(3)], { at: someTime + 5 });
      checkEqual(
        await directory.list({ project: "public", prefix: "/", depth: "all", limit: 10 }),
        {
          streams: [{ path: "/a", head: 3, createdAt: someTime, lastEventAt: someTime + 5, paused: false }],
          next: null,
        },
        "list",
      );
    },
  },
  {
    name: "every prefix, depth and page size gives what lies there, in order",
    async run({ directory }) {
      const paths = ["/", ...around, ...odd];
      for (const path of paths) await born(directory, path);
      await compareLists(directory, paths, ["/", ...paths, "/b", "/b/c", "/c", "/a/b/c/d", "/UPPER"]);
    },
  },
  {
    name: "any set of paths lists as a sorted filter of it",
    async run({ directory }) {
      const random = createSeededRandom(20_260_101);
      const segments = ["a", "a-", "a.", "a0", "a1", "A", "b", "~", "0"];
      const paths = new Set<string>();
      while (paths.size < 120) {
        paths.add(`/${Array.from({ length: 1 + random.integer(4) }, () => random.pick(segments)).join("/")}`);
      }
      await Promise.all([...paths].map((path) => born(directory, path)));
      for (const path of [...paths].filter(() => random.fraction() < 0.3)) {
        const writer = new StreamWriter(directory, path);
        await writer.load();
        await writer.remove();
        paths.delete(path);
      }
      await compareLists(directory, [...paths], ["/", "/a", "/a/a", "/A", "/~", "/0", "/b/a0"]);
    },
  },
  {
    name: "segments of 255 characters and paths of 1,023",
    async run({ directory }) {
      const segment = "s".repeat(255);
      const longest = `/${segment}/${segment}/${segment}/${"t".repeat(254)}`;
      checkEqual(longest.length, 1_023, "the longest path");
      const paths = [`/${segment}`, longest, `/${"s".repeat(254)}`, `${longest.slice(0, -1)}u`];
      for (const path of paths) await born(directory, path);
      await compareLists(directory, paths, ["/", `/${segment}`, longest]);
      const writer = new StreamWriter(directory, longest);
      await writer.load();
      checkEqual((await writer.append([record(2)])).head.offset, 2, "head");
      checkEqual(await writer.all(), [record(1), record(2)], "records");
    },
  },
  {
    name: "projects share nothing",
    async run({ directory }) {
      const projects = ["a", "a-b", "A", "public", "~p", "a.b"];
      for (const project of projects) {
        const writer = await born(directory, "/same", 2, project);
        await writer.append([record(project)], { keys: [{ key: "c:k", offset: 3, digest: project }] });
      }
      await born(directory, "/only/here", 1, "public");
      for (const project of projects) {
        const writer = new StreamWriter(directory, "/same", project);
        await writer.load();
        checkEqual((await writer.all())[2], record(project), `the record of ${project}`);
        checkEqual((await writer.log.findKeys(["c:k"])).get("c:k")?.digest, project, `the key of ${project}`);
        const expected = project === "public" ? ["/only/here", "/same"] : ["/same"];
        checkEqual(await listAll(directory, { project }), expected, `the list of ${project}`);
      }
      const sorted = [...projects].sort();
      checkEqual(await directory.projects({ limit: 10 }), { projects: sorted, next: null }, "projects");
      checkEqual(await directory.projects({ limit: 6 }), { projects: sorted, next: null }, "a full page");
      const paged: string[] = [];
      for (let cursor: string | undefined; ; ) {
        const page = await directory.projects({ limit: 4, ...(cursor === undefined ? {} : { cursor }) });
        paged.push(...page.projects);
        if (page.next === null) break;
        cursor = page.next;
      }
      checkEqual(paged, sorted, "projects, in pages");
      checkEqual(await listAll(directory, { project: "nobody" }), [], "a project without streams");
    },
  },
  {
    name: "lists, loads and due streams answer while streams come and go",
    async run({ directory }) {
      await born(directory, "/steady");
      let going = true;
      const comeAndGo = async (n: number) => {
        for (let i = 0; i < 40; i++) {
          const writer = new StreamWriter(directory, `/x/${n}-${i}`);
          await writer.append([record(1)], { claim: { dueAt: i, kind: "birth" } });
          await writer.remove({ dueAt: i, kind: "deletion" });
        }
      };
      const looking = async (look: () => Promise<void>) => {
        while (going) await look();
      };
      const looks = [
        looking(async () => {
          const { streams } = await directory.list({ project: "public", prefix: "/", depth: "all", limit: 1_000 });
          check(streams[0]?.path === "/steady", "a list holds what is always there");
          for (const { path, head } of streams) check(head === 1, `${path} has head ${head}`);
        }),
        looking(async () => {
          const { streams } = await directory.due({ now: 1e15, limit: 1_000 });
          for (const { path, head } of streams) check(head.offset === 1, `${path} is due with head ${head.offset}`);
        }),
        looking(async () => {
          const loaded = await directory.log("public", "/x/0-20").load();
          check(loaded.head.offset <= 1, `loaded with head ${loaded.head.offset}`);
        }),
      ];
      try {
        await Promise.all(Array.from({ length: 10 }, (_, n) => comeAndGo(n)));
      } finally {
        going = false;
      }
      await Promise.all(looks);
      checkEqual(await listAll(directory), ["/steady"], "what is left");
    },
  },
];

async function compareLists(directory: Parameters<typeof listAll>[0], paths: string[], prefixes: string[]) {
  for (const prefix of prefixes) {
    for (const depth of ["all", "children"] as const) {
      const expected = paths.filter((path) => isListed(path, prefix, depth)).sort();
      for (const limit of [1, 2, 5, 1_000]) {
        checkEqual(await listAll(directory, { prefix, depth, limit }), expected, `${depth} of ${prefix} by ${limit}`);
      }
    }
  }
}

/** By segments, said in another way than any adapter says it. */
function isListed(path: string, prefix: string, depth: "all" | "children"): boolean {
  const segments = path.split("/").filter((segment) => segment !== "");
  const above = prefix.split("/").filter((segment) => segment !== "");
  if (above.some((segment, i) => segments[i] !== segment)) return false;
  return depth === "all" || segments.length === above.length + 1;
}
