import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describeLog, type LogStore } from "@millrace/testing";
import { createSqliteDirectory } from "millrace";
import { describe, expect, test } from "vitest";

async function createStore(): Promise<LogStore> {
  const data = mkdtempSync(path.join(tmpdir(), "millrace-log-"));
  const fatal: string[] = [];
  const open = () => createSqliteDirectory({ directory: data, onFatal: (message) => fatal.push(message) });
  const store = {
    directory: open(),
    async reopen() {
      await store.directory.close();
      store.directory = open();
      return store.directory;
    },
    async dispose() {
      await store.directory.close();
      rmSync(data, { recursive: true });
      expect(fatal).toEqual([]);
    },
  };
  return store;
}

describe("the SQLite log", () => {
  const cases = describeLog(createStore, { persistent: true });

  test.each(cases)("$name", ({ run }) => run());

  test("no case was left out", () => {
    expect(cases.length).toBe(68);
  });
});
