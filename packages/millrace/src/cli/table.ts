/** Columns for people. Pure: cells in, lines out. */
import { escapeControls } from "./escape-controls.ts";

/** The first row is the head. Numbers stand on the right. */
export function tableOf(rows: readonly (readonly (string | number)[])[]): string[] {
  const cells = rows.map((row) =>
    row.map((cell) => ({ text: inOneLine(String(cell)), right: typeof cell === "number" })),
  );
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.text.length ?? 0)));
  return cells.map((row) =>
    row
      .map(({ text, right }, column) => (right ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

/** A time as it stands in tables: UTC, to the second. */
export function timeCell(iso: string): string {
  return iso.slice(0, 19).replace("T", " ");
}

const inOneLine = (text: string): string => escapeControls(text.replaceAll("\n", "\\n").replaceAll("\t", "\\t"));
