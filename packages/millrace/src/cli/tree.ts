/** Streams as a tree of lines. Pure: summaries in, text out. */

export interface TreeEntry {
  path: string;
  head: number;
  lastEventAt: string;
  paused: boolean;
}

interface Node {
  entry: TreeEntry | undefined;
  children: Map<string, Node>;
}

/** @param columns of the terminal; what does not fit into them is left out, the time first */
export function treeOf(prefix: string, entries: readonly TreeEntry[], columns: number = Infinity): string[] {
  if (entries.length === 0) return [];
  const root = prefix === "/" ? "/" : prefix.replace(/\/$/, "");
  const top: Node = { entry: undefined, children: new Map() };
  for (const entry of entries) nodeAt(top, entry.path.slice(root.length)).entry = entry;
  const lines = [{ label: root, entry: top.entry }, ...linesBelow(top, "")];
  const labelWidth = Math.max(...lines.map(({ label }) => label.length));
  const headWidth = Math.max(...lines.map(({ entry }) => String(entry?.head ?? "").length));
  return lines.map(({ label, entry }) => {
    if (entry === undefined) return label;
    const paused = entry.paused ? "  paused" : "";
    const head = `${label.padEnd(labelWidth)}  ${String(entry.head).padStart(headWidth)}`;
    const whole = `${head}  ${entry.lastEventAt.slice(0, 19).replace("T", " ")}${paused}`;
    if (whole.length <= columns) return whole;
    const short = head.length + paused.length <= columns ? head : `${label}  ${entry.head}`;
    return short + paused;
  });
}

function nodeAt(top: Node, below: string): Node {
  let node = top;
  for (const segment of below.split("/")) {
    if (segment === "") continue;
    let child = node.children.get(segment);
    if (child === undefined) {
      child = { entry: undefined, children: new Map() };
      node.children.set(segment, child);
    }
    node = child;
  }
  return node;
}

function* linesBelow(node: Node, indent: string): Generator<{ label: string; entry: TreeEntry | undefined }> {
  let left = node.children.size;
  for (const [segment, child] of node.children) {
    const last = --left === 0;
    yield { label: `${indent}${last ? "└─ " : "├─ "}${segment}`, entry: child.entry };
    yield* linesBelow(child, `${indent}${last ? "   " : "│  "}`);
  }
}
