/** Where to begin or to go on: a word, or the offset behind which. */
import { UsageError } from "./usage.ts";

/** @throws UsageError */
export function placeOf<Word extends string>(flag: string, words: readonly Word[], text: string): Word | number {
  const word = words.find((each) => each === text);
  if (word !== undefined) return word;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new UsageError(`--${flag} is ${words.join(", ")} or an offset; got "${text}".`);
}
