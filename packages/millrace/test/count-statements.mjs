/**
 * Loaded into a server with `--import`: every SQL statement that it executes, in whichever thread, becomes a line of
 * the file that STATEMENTS_FILE names. So the server itself needs no hook for being counted.
 */
import { appendFileSync } from "node:fs";
import Database from "better-sqlite3";

const note = (sql) => appendFileSync(process.env.STATEMENTS_FILE, `${sql.replaceAll(/\s+/g, " ").trim()}\n`);

const { exec, pragma } = Database.prototype;
const probe = new Database(":memory:");
const statement = Object.getPrototypeOf(probe.prepare("SELECT 1"));
probe.close();

for (const name of ["run", "get", "all", "iterate"]) {
  const method = statement[name];
  statement[name] = function (...args) {
    note(this.source);
    return method.apply(this, args);
  };
}
Database.prototype.exec = function (sql) {
  note(sql);
  return exec.call(this, sql);
};
Database.prototype.pragma = function (sql, options) {
  note(`PRAGMA ${sql}`);
  return pragma.call(this, sql, options);
};
