/** `--egress-allow HOST[,HOST]`, `PROJECT=HOST[,HOST]` and `none`: the hosts that deployed code may ask. */
import { createEgressRules, type EgressOptions } from "../sandbox/egress/egress-rules.ts";
import { UsageError } from "./usage.ts";

/** @throws UsageError */
export function parseEgressAllow(given: readonly string[]): EgressOptions {
  let hosts: string[] | undefined;
  const projects: Record<string, string[]> = {};
  for (const text of given) {
    // A project may have an equals sign in its name, a host has none.
    const at = text.lastIndexOf("=");
    const named = namesIn(text.slice(at + 1), text);
    if (at < 0) hosts = [...(hosts ?? []), ...named];
    else projects[text.slice(0, at)] = [...(projects[text.slice(0, at)] ?? []), ...named];
  }
  const options = { ...(hosts === undefined ? {} : { hosts }), projects };
  try {
    createEgressRules(options);
  } catch (error) {
    throw new UsageError(`--egress-allow: ${(error as Error).message}`);
  }
  return options;
}

function namesIn(list: string, text: string): string[] {
  if (list === "none") return [];
  const named = list.split(",").map((host) => host.trim());
  if (named.every((host) => host !== "")) return named;
  throw new UsageError(`--egress-allow is HOST[,HOST], PROJECT=HOST[,HOST] or none; got "${text}".`);
}
