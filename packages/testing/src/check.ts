/** What the suites expect, said without a test runner: a failed check throws, and its message shows both sides. */

export function checkEqual(actual: unknown, expected: unknown, what: string): void {
  const place = difference(actual, expected, "");
  if (place === undefined) return;
  throw new Error(`${what}${place.at}: expected ${show(place.expected)}, got ${show(place.actual)}`);
}

export function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

/** Errors are recognised by name, as everywhere. */
export async function checkRejects(promise: Promise<unknown>, name: string, what: string): Promise<void> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    checkEqual((error as Error).name, name, `${what}: name of the error ${JSON.stringify(String(error))}`);
    return;
  }
  throw new Error(`${what}: expected ${name}, got the value ${show(value)}`);
}

interface Difference {
  at: string;
  actual: unknown;
  expected: unknown;
}

/** The first place where two values of plain data differ; an absent property and an undefined one are the same. */
function difference(actual: unknown, expected: unknown, at: string): Difference | undefined {
  if (Object.is(actual, expected)) return undefined;
  if (!isContainer(actual) || !isContainer(expected) || Array.isArray(actual) !== Array.isArray(expected)) {
    return { at, actual, expected };
  }
  if (Array.isArray(actual) && Array.isArray(expected) && actual.length !== expected.length) {
    return { at: `${at}.length`, actual: actual.length, expected: expected.length };
  }
  for (const key of new Set([...Object.keys(actual), ...Object.keys(expected)])) {
    const found = difference(actual[key], expected[key], Array.isArray(actual) ? `${at}[${key}]` : `${at}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function show(value: unknown): string {
  const text = value === undefined ? "undefined" : (JSON.stringify(value) ?? String(value));
  return text.length > 300 ? `${text.slice(0, 300)}... (${text.length} characters)` : text;
}
