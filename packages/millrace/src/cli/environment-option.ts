/** `--env NAME[=VALUE]`: what the hooks of a processor find in `env`. */
import { UsageError } from "./usage.ts";

/** Nothing of the machine's environment reaches a hook that was not named. @throws UsageError */
export function environmentOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const end = pair.indexOf("=");
      const name = end < 0 ? pair : pair.slice(0, end);
      const value = end < 0 ? process.env[name] : pair.slice(end + 1);
      if (name === "") throw new UsageError(`--env is NAME=VALUE, or the NAME of a variable; got "${pair}".`);
      if (value === undefined) throw new UsageError(`--env ${name}: there is no such variable here.`);
      return [name, value];
    }),
  );
}

const knownKeys = /^(sk|pk|rk|ghp|gho|github_pat|glpat|xox[a-z]|whsec|AKIA|ASIA|AIza|eyJ)[-_A-Za-z0-9]/;
const namesOfKeys = /(key|token|secret|password|passwd|credentials?)$/i;

/** A guess, for a warning: whoever can read a stream reads the environment of its processors. */
export function looksLikeKey(name: string, value: string): boolean {
  if (value.includes("{{secret:")) return false;
  if (knownKeys.test(value) && value.length >= 16) return true;
  if (namesOfKeys.test(name) && value.length >= 8) return true;
  return value.length >= 32 && /^[-\w+/=.]+$/.test(value) && /\d/.test(value) && /[A-Za-z]/.test(value);
}
