/** Rows as text in columns, for a terminal. */

const columns = [
  { title: "scenario", of: (row) => row.scenario },
  { title: "measured", of: (row) => row.what },
  { title: "millrace", of: (row) => (row.failed ? "FAILED" : withUnit(row.value, row.unit)), right: true },
  { title: "beside", of: (row) => row.peer ?? "" },
  { title: "", of: (row) => (row.peerValue === undefined ? "" : withUnit(row.peerValue, row.unit)), right: true },
  { title: "ratio", of: (row) => (row.ratio === undefined ? "" : row.ratio.toFixed(2)), right: true },
  { title: "target", of: (row) => row.target ?? "", right: true },
  { title: "met", of: (row) => (row.met === undefined ? "" : row.met ? "yes" : "NO") },
];

/** @param {(import("./rows.mjs").Row & {scenario: string, failed?: string})[]} rows */
export function table(rows) {
  const cells = rows.map((row) => columns.map((column) => column.of(row)));
  const widths = columns.map(({ title }, index) => Math.max(title.length, ...cells.map((line) => line[index].length)));
  const line = (texts) =>
    texts
      .map((text, index) => (columns[index].right ? text.padStart(widths[index]) : text.padEnd(widths[index])))
      .join("  ")
      .trimEnd();
  const notes = rows
    .filter((row) => row.failed ?? row.note)
    .map((row) => `  ${row.scenario}: ${row.failed ?? row.note}`);
  const head = [line(columns.map(({ title }) => title)), line(widths.map((width) => "-".repeat(width)))];
  return [...head, ...cells.map(line), ...(notes.length > 0 ? ["", "Notes", ...notes] : [])].join("\n");
}

/** Three significant digits where decimals matter, whole numbers with separators where they do not. */
function withUnit(value, unit) {
  const text = Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
  return unit === "" ? text : `${text} ${unit}`;
}
