/** Where progress is kept: in memory, or in a file, whose code is loaded when it is asked for. */
import { type Cursors, memoryCursors } from "@millrace/sdk/processor";

export async function cursorsOf(file: string | undefined): Promise<Cursors> {
  if (file === undefined) return memoryCursors();
  const node: string = "@millrace/sdk/node";
  const { fileCursors } = (await import(node)) as { fileCursors(file: string): Cursors | Promise<Cursors> };
  return fileCursors(file);
}
