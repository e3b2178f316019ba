/** Formatting a time costs more than the rest of forming a commit, and many commits share a millisecond. */
export function createIsoTime(): (milliseconds: number) => string {
  let last = Number.NaN;
  let text = "";
  return (milliseconds) => {
    if (milliseconds !== last) {
      text = new Date(milliseconds).toISOString();
      last = milliseconds;
    }
    return text;
  };
}
