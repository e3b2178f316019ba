/** Reading one stream: bounds, sizes, and every character as it was written. */
import type { ReadRange } from "@millrace/engine";
import { check, checkEqual } from "../check.ts";
import { born, type LogCase, record, records, StreamWriter } from "./log-case.ts";

const wide = { maxEvents: 1e9, maxBytes: 1e9 };
const ofTen = record(1).length;

/** Of a stream with 10 events of equal length, written in commits of 1, 4 and 5: what a range gives. */
const ranges: [range: ReadRange, expected: number[]][] = [
  [{ after: 0, through: 10, ...wide }, [1, 2, 3, 4, 5, 6, 7, 8, 9]],
  [{ after: 0, through: 1, ...wide }, [1]],
  [{ after: 0, through: 0, ...wide }, []],
  [{ after: 5, through: 5, ...wide }, []],
  [{ after: 9, through: 100, ...wide }, []],
  [{ after: 20, through: 30, ...wide }, []],
  [{ after: 2, through: 4, ...wide }, [3, 4]],
  [{ after: 4, through: 5, ...wide }, [5]],
  [{ after: 4, through: 7, ...wide }, [5, 6, 7]],
  [{ after: 8, through: 9, ...wide }, [9]],
  [{ after: 0, through: 10, maxEvents: 1, maxBytes: 1e9 }, [1]],
  [{ after: 0, through: 10, maxEvents: 3, maxBytes: 1e9 }, [1, 2, 3]],
  [{ after: 2, through: 10, maxEvents: 5, maxBytes: 1e9 }, [3, 4, 5, 6, 7]],
  [{ after: 6, through: 8, maxEvents: 1, maxBytes: 1e9 }, [7]],
  [{ after: 6, through: 8, maxEvents: 5, maxBytes: 1e9 }, [7, 8]],
  [{ after: 3, through: 4, maxEvents: 1, maxBytes: 1 }, [4]],
  [{ after: 5, through: 10, maxEvents: 10, maxBytes: 1 }, [6]],
];

export const readCases: readonly LogCase[] = [
  {
    name: "a range gives what lies in it, within its bounds, and at least one event where there is one",
    async run({ directory }) {
      const writer = await born(directory, "/a", 1);
      await writer.append(records(4, 2));
      await writer.append(records(4, 6));
      for (const [range, expected] of ranges) {
        const { first, records: found } = await writer.log.read(range);
        checkEqual(
          found,
          expected.map((n) => record(n)),
          JSON.stringify(range),
        );
        if (expected.length > 0) checkEqual(first, expected[0], `first of ${JSON.stringify(range)}`);
      }
    },
  },
  {
    name: "a page is as large as its bytes allow, and no larger",
    async run({ directory }) {
      const writer = await born(directory, "/a", 1);
      await writer.append(records(8, 2));
      for (const count of [1, 2, 3, 5]) {
        const { records: found } = await writer.log.read({
          after: 1,
          through: 9,
          maxEvents: 100,
          maxBytes: count * ofTen,
        });
        check(found.length >= 1 && found.length <= count, `${found.length} events in the bytes of ${count}`);
        checkEqual(found, records(found.length, 2), "records");
      }
    },
  },
  {
    name: "a commit of 1,000 records",
    async run({ directory }) {
      const writer = await born(directory, "/a", 1);
      await writer.append(records(1_000, 2));
      checkEqual(writer.head.offset, 1_001, "head");
      checkEqual(await writer.all(), records(1_001), "records");
      for (let after = 0; after < 1_001; ) {
        const page = await writer.log.read({ after, through: 1_001, maxEvents: 77, maxBytes: 1e9 });
        checkEqual(page.first, after + 1, "first of a page");
        checkEqual(page.records, records(page.records.length, after + 1), "page");
        check(page.records.length > 0 && page.records.length <= 77, `a page of ${page.records.length}`);
        after += page.records.length;
      }
    },
  },
  {
    name: "a commit of 8 MiB, with records of every size",
    async run({ directory }) {
      const writer = await born(directory, "/a", 1);
      const texts: string[] = [];
      let characters = 0;
      for (let i = 0; characters < 8 * 1024 * 1024; i++) {
        const text = record(`${i} ${"x".repeat((i * 7_919) % 150_000)}`);
        texts.push(text);
        characters += text.length;
      }
      await writer.append(texts, { keys: [{ key: "c:large", offset: 2, digest: "d" }] });
      checkEqual((await writer.all()).slice(1), texts, "records");
      for (let after = 1; after < writer.head.offset; ) {
        const page = await writer.log.read({ after, through: 1e9, maxEvents: 1_000, maxBytes: 256 * 1024 });
        const bytes = page.records.reduce((sum, text) => sum + text.length, 0);
        check(page.records.length === 1 || bytes <= 256 * 1024, `a page of ${bytes} bytes`);
        checkEqual(page.records, texts.slice(after - 1, after - 1 + page.records.length), `the page behind ${after}`);
        check(page.records.length > 0, `nothing behind ${after}`);
        after += page.records.length;
      }
    },
  },
  {
    name: "one record of 1 MiB, alone and between small ones",
    async run({ directory }) {
      const writer = await born(directory, "/a", 1);
      const large = record("x".repeat(1024 * 1024));
      await writer.append([large]);
      await writer.append([record(3), large, record(5)]);
      checkEqual(await writer.all(), [record(1), large, record(3), large, record(5)], "records");
      const page = await writer.log.read({ after: 3, through: 5, maxEvents: 10, maxBytes: 1 });
      checkEqual(page.records, [large], "a page always holds one event");
    },
  },
  {
    name: "every character comes back as it was written",
    async run({ directory }) {
      const texts = [
        "plain",
        "emoji 🦦 and 👩‍👩‍👧‍👦",
        "combining e\u0301, right to left \u202e, byte order mark \ufeff",
        "line separators \u2028 \u2029 \u0085",
        "\u007f and \u00ff",
        "replacement \ufffd",
        "\u{10ffff}",
      ].map((text) => record(text));
      // What JSON writes with escapes: control characters, line breaks, halves of a pair.
      texts.push(record("\u0000 \n \r \t \u001f"), record("half a pair \ud83e and the other \udda6"));
      texts.push(' "type":"continues a batch","payload":{},"createdAt":"2026-01-01T00:00:00.000Z"}');
      const writer = new StreamWriter(directory, "/a");
      await writer.append(texts);
      for (const text of texts) await writer.append([text]);
      checkEqual(await writer.all(), [...texts, ...texts], "records");
    },
  },
  {
    name: "what one handle appended another one reads, while more is appended",
    async run({ directory }) {
      const writer = await born(directory, "/a", 1);
      const reader = new StreamWriter(directory, "/a");
      await reader.load();
      const appending = (async () => {
        for (let n = 2; n <= 100; n++) await writer.append([record(n)]);
      })();
      for (let seen = 0; seen < 100; ) {
        const { records: found } = await reader.log.read({ after: seen, through: 1e9, ...wide });
        checkEqual(found, records(found.length, seen + 1), `what follows ${seen}`);
        seen += found.length;
      }
      await appending;
    },
  },
];
