/** JSONata on a line: as it stands there, or with `@` in front of the name of a file that holds it. */
import { readText } from "./input.ts";
import { UsageError } from "./usage.ts";

/**
 * No expression begins with `@`, so nothing is hidden by it. Whether it compiles is judged by the server.
 * @throws UsageError when the file cannot be read, or nothing is in it
 */
export async function expressionOf(flag: string, text: string): Promise<string> {
  const expression = text.startsWith("@") ? (await readText(text.slice(1))).trim() : text;
  if (expression.trim() === "") throw new UsageError(`--${flag} is JSONata, or @FILE that holds it; got nothing.`);
  return expression;
}

/** For what has two expressions: stdin can hold only one of them. @throws UsageError */
export function onlyOneFromStdin(...texts: (string | undefined)[]): void {
  if (texts.filter((text) => text === "@-").length > 1)
    throw new UsageError("Only one expression can come from stdin.");
}
