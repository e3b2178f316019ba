/**
 * A request of deployed code to this very server: what it appends there is caused by the event that the code acts on,
 * and says so, or a circle of processors would never be found out.
 */
import type { HeaderList } from "@millrace/engine";
import { nameOfSlug } from "@millrace/protocol";
import { EgressRefusal } from "./refusal.ts";

/** The event that a call acts on, and whose call it is. */
export interface EgressCause {
  streamPath: string;
  offset: number;
  /** Of that event: how many causes lie behind it. */
  depth: number;
  slug: string;
}

const causeHeaders: ReadonlySet<string> = new Set(["millrace-cause", "millrace-depth", "millrace-processor"]);

/** Whatever the code says itself is replaced. @throws EgressRefusal */
export function withCause(headers: HeaderList, cause: EgressCause | undefined): HeaderList {
  if (cause === undefined) {
    throw new EgressRefusal("cause", "This server is asked by hooks and their work only, while they run.");
  }
  const { streamPath, offset, depth, slug } = cause;
  return [
    ...headers.filter(([name]) => !causeHeaders.has(name.toLowerCase())),
    ["millrace-cause", `${encodeURIComponent(streamPath)}@${offset}`],
    ["millrace-depth", String(depth)],
    ["millrace-processor", nameOfSlug(slug)],
  ];
}
