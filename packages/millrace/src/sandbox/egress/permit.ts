/** Whether a request may go where it wants to, and the headers with which it goes: secrets, and its cause. */
import type { HeaderList, Secrets } from "@millrace/engine";
import type { EgressRule } from "./egress-rules.ts";
import { isOwn } from "./own-origins.ts";
import { type EgressCause, withCause } from "./own-server.ts";
import { fillFixedHeader, fillHeaders } from "./placeholders.ts";
import { EgressRefusal } from "./refusal.ts";
import type { RequestHead } from "./request-head.ts";

export interface PermitNeeds {
  project: string;
  secrets: Pick<Secrets, "reveal" | "list">;
  allowed: EgressRule;
  attribution: { cause(call: string, isolate: string | undefined): EgressCause | undefined };
  /** The header that the configuration of an isolate's code gives all its requests. */
  fixedHeader?(isolate: string): readonly [name: string, value: string] | undefined;
  /** Under which this server is reached, such as https://streams.example.org: see `ownOrigins`. */
  ownOrigins?: readonly string[];
}

/** Rejects with EgressRefusal or SecretError. */
export async function permittedHeaders(head: RequestHead, needs: PermitNeeds): Promise<HeaderList> {
  const { project, secrets, allowed, attribution, ownOrigins = [] } = needs;
  const { url, call, isolate, headers } = head;
  const why = allowed(url);
  if (why !== undefined) throw new EgressRefusal("host", `${why}.`);
  const fill = { project, secrets, url: url.href };
  const fixed = isolate === undefined ? undefined : needs.fixedHeader?.(isolate);
  const own = headers.filter(([name]) => name.toLowerCase() !== fixed?.[0].toLowerCase());
  const filled = await fillHeaders(own, fill);
  const all = fixed === undefined ? filled : [...filled, ...(await fillFixedHeader(fixed, fill))];
  if (!isOwn(url, ownOrigins)) return all;
  return withCause(all, call === undefined ? undefined : attribution.cause(call, isolate));
}
