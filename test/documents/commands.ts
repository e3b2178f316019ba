/** The commands of a document, in the order in which a reader meets them, each with the output that stands under it. */

/** What is typed one line behind the other before the output is looked at. */
export interface Step {
  lines: string[];
  /** The output that the document states, if it does; `...` in it stands for anything. */
  stated: string | undefined;
}

/** `curl` with something behind it. The mere word (`curl`, curl/7.88.1) is none. */
const command = /\bcurl\s+(?=[-"'$]|https?:|localhost|\d+\.\d+\.\d+\.\d+)/g;

/** How many commands stand in a text, wherever: what is found as a step has to be as many. */
export function countCommands(text: string): number {
  return [...text.matchAll(command)].length;
}

/**
 * Three ways to write a command: a fence `sh` (its output is the fence right behind it, if there is one), a fence of
 * lines that begin with `$ ` (the output of each is what follows), and a code span in running text.
 */
export function stepsIn(document: string): Step[] {
  const steps: Step[] = [];
  const parts = /^```(\w*)\n(.*?)^```$|`([^`\n]+(?:\n[^`\n]+)?)`/gms;
  let shellEnd = -1;
  for (const match of document.matchAll(parts)) {
    const [whole, language, block, span] = match;
    if (language === "sh") {
      const lines = (block as string).split("\n").filter((line) => countCommands(line) > 0);
      if (lines.length > 0) steps.push({ lines, stated: undefined });
      shellEnd = lines.length > 0 ? match.index + whole.length : -1;
    } else if (block?.startsWith("$ ")) {
      steps.push(...session(block));
    } else if (block !== undefined) {
      const follows = shellEnd >= 0 && document.slice(shellEnd, match.index).trim() === "";
      if (follows) (steps.at(-1) as Step).stated = block;
    } else if (countCommands(span as string) > 0) {
      steps.push({ lines: [(span as string).replace("\n", " ")], stated: undefined });
    }
  }
  return steps;
}

function session(block: string): Step[] {
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((text) => {
      const end = text.indexOf("\n");
      const stated = text.slice(end + 1);
      return { lines: [text.slice(0, end)], stated: stated === "" ? undefined : stated };
    });
}

/** What is another in every run. Everything else is compared as it stands. */
const differing: readonly [pattern: RegExp, instead: string][] = [
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, "<time>"],
  [/"streamId":( ?)"[\w-]{20}"/g, '"streamId":$1"<id>"'],
  [/\bcurl\/\d+\.\d+\.\d+/g, "curl/<version>"],
  // How much of the circuit breaker's bucket came back while it was emptied.
  [/^offset: 1\d\d$/gm, "offset: <over a hundred>"],
];

/** The pattern that an output has to match to be what the document states. */
export function patternOf(stated: string): RegExp {
  const parts = alike(stated).split("...");
  return new RegExp(`^${parts.map((part) => part.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("[^]*?")}$`);
}

export function alike(text: string): string {
  return differing.reduce((changed, [pattern, instead]) => changed.replace(pattern, instead), text);
}
