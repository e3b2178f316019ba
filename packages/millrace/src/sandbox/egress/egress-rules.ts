/**
 * Which hosts deployed code may ask, by project: what the operator says. Whether a host has a public address is another
 * question, which the way out answers.
 */
import { mayBeSentTo, parseProject, parseSecretHost } from "@millrace/protocol";

export interface EgressOptions {
  /** For every project, as hosts of secrets are written: `api.example.com`, `*.example.com`, `http://localhost:4000`. */
  hosts?: readonly string[];
  /** For one project, beside those. */
  projects?: Readonly<Record<string, readonly string[]>>;
}

/** Why a request may not go there; undefined where it may. */
export type EgressRule = (url: URL) => string | undefined;

/** What workerd makes of `node:dns`: a request that the code did not write. */
const resolver = "cloudflare-dns.com";

/**
 * Without any hosts for a project every one may be asked.
 * @throws Error that names the host or the project that is wrong
 */
export function createEgressRules({ hosts, projects = {} }: EgressOptions = {}): (project: string) => EgressRule {
  for (const host of [hosts ?? [], ...Object.values(projects)].flat()) parseSecretHost(host);
  for (const project of Object.keys(projects)) parseProject(project);
  return (project) => {
    const own = Object.hasOwn(projects, project) ? projects[project] : undefined;
    if (hosts === undefined && own === undefined) return everywhere;
    return onlyTo([...(hosts ?? []), ...(own ?? [])], project);
  };
}

function everywhere(url: URL): string | undefined {
  if (withoutDot(url.hostname) !== resolver) return undefined;
  return `names are looked up by the server, so ${resolver} is asked only where --egress-allow names it`;
}

function onlyTo(hosts: readonly string[], project: string): EgressRule {
  return (url) => {
    if (mayBeSentTo(hosts, url.href)) return undefined;
    return `it is not among the hosts that ${project} may ask; the operator adds it with --egress-allow`;
  };
}

function withoutDot(hostname: string): string {
  return hostname.replace(/\.$/, "");
}
