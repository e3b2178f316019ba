/** The command line was wrong: the message says what was expected, and the exit code is 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
