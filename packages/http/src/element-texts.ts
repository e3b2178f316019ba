/**
 * The text of each element of the first array in a JSON text that is known to be valid. Needed only when an element
 * cannot be stored as a value (a number beyond 2^53, say) and must be kept as it was written.
 */
export function elementTexts(text: string): string[] {
  const texts: string[] = [];
  let depth = 0;
  let from = text.indexOf("[") + 1;
  for (let i = from; i < text.length; i++) {
    const character = text[i];
    if (character === '"') {
      i = endOfString(text, i);
    } else if (character === "[" || character === "{") {
      depth++;
    } else if (character === "]" || character === "}") {
      if (depth === 0) {
        texts.push(text.slice(from, i).trim());
        break;
      }
      depth--;
    } else if (character === "," && depth === 0) {
      texts.push(text.slice(from, i).trim());
      from = i + 1;
    }
  }
  return texts;
}

function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (text[i] !== '"') i += text[i] === "\\" ? 2 : 1;
  return i;
}
