/** What is wrong with a source, for its author; everything else that is thrown says that nothing can be said now. */
import type { BundleProblem } from "@millrace/engine";

export class SourceFault extends Error {
  override readonly name = "SourceFault";
  readonly problems: readonly BundleProblem[];

  constructor(problems: readonly BundleProblem[]) {
    super(shownProblems(problems));
    this.problems = problems;
  }
}

export const sourceFault = (text: string): SourceFault => new SourceFault([{ text }]);

const shownMax = 10;

/** As compilers say it: a place, and what is wrong there. */
export function shownProblems(problems: readonly BundleProblem[]): string {
  const lines = problems.slice(0, shownMax).map(({ text, file, line, column }) => {
    return file === undefined ? text : `${file}:${line}:${column}: ${text}`;
  });
  if (problems.length > shownMax) lines.push(`and ${problems.length - shownMax} more`);
  return lines.join("\n");
}
