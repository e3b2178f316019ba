/**
 * How a JSON text is built, found out without reading it: what is nested very deeply, or has millions of parts, takes the
 * server seconds to read, in which it does nothing else.
 */

export interface JsonBounds {
  /** Objects and lists within each other. */
  depth: number;
  /** Objects and lists, and what stands in them behind the first. */
  parts?: number;
}

const quote = 34;
const comma = 44;
const backslash = 92;
const begins: ReadonlySet<number> = new Set([91, 123]);
const ends: ReadonlySet<number> = new Set([93, 125]);

/** Says nothing of a text that is no JSON. */
export function isWithinBounds(text: string, { depth, parts = Number.POSITIVE_INFINITY }: JsonBounds): boolean {
  let open = 0;
  let seen = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) at = endOfString(text, at);
    else if (ends.has(code)) open--;
    else if (begins.has(code) || code === comma) {
      if (code !== comma) open++;
      if (++seen > parts || open > depth) return false;
    }
  }
  return true;
}

/** Of the one that begins there. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) return at;
    if (code === backslash) at++;
  }
  return text.length;
}
