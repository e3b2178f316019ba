/** What is wrong with a source, for its author; everything else that is thrown says that nothing can be said now. */
import type { BundleProblem } from "@millrace/engine";

export class SourceFault extends Error {
  override readonly name = "SourceFault";
  readonly problems: readonly BundleProblem[];

  constructor(problems: readonly BundleProblem[]) {
    const short = problems.slice(0, problemsMax).map((problem) => shortened(problem));
    super(shownProblems(short, problems.length));
    this.problems = short;
  }
}

export const sourceFault = (text: string): SourceFault => new SourceFault([{ text }]);

const problemsMax = 20;
const shownMax = 10;
const textCharactersMax = 1_000;

/** Names and versions are chosen by strangers, at any length. */
function shortened({ text, file, ...place }: BundleProblem): BundleProblem {
  const short = { text: text.slice(0, textCharactersMax), ...place };
  return file === undefined ? short : { ...short, file: file.slice(-textCharactersMax) };
}

/** As compilers say it: a place, and what is wrong there. */
function shownProblems(problems: readonly BundleProblem[], all: number): string {
  const lines = problems.slice(0, shownMax).map(({ text, file, line, column }) => {
    return file === undefined ? text : `${file}:${line}:${column}: ${text}`;
  });
  if (all > shownMax) lines.push(`and ${all - shownMax} more`);
  return lines.join("\n");
}
