/** What the server knows of one built-in event type: how it is validated, documented and admitted. */
import type { z } from "zod";
import type { JsonValue } from "./json.ts";

/** The talk's namespace, kept for compatibility. */
export const builtinPrefix = "https://events.iterate.com/events/stream/";

/** Where the short forms stand: `subscription/removed` is also `https://events.iterate.com/subscription-removed`. */
export const shortPrefix = "https://events.iterate.com/";

export interface EventContract {
  /** The canonical type: `builtinPrefix` + `name`. */
  type: string;
  /** What stands behind the prefix, such as `subscription/configured`. Also the path of its documentation page. */
  name: string;
  /** Short forms of the talk's summaries that mean this type. */
  aliases: readonly string[];
  /** Strict: an unknown key is an error. */
  payload: z.ZodType;
  /** A payload that validates. */
  example: JsonValue;
  /** One sentence for indexes. */
  summary: string;
  /** Behaviour, in a few sentences of plain text or Markdown. */
  documentation: string;
  /** Only the server may write it; from outside it is an invalid event. */
  serverOnly: boolean;
  /** Admitted while a stream is paused, because it ends or repairs something. */
  whilePaused: boolean;
  /** Validated and stored, but nothing in the server acts on it or writes it yet. */
  planned: boolean;
}

/** Fills in what most contracts share. Every type gets its short form as an alias; `aliases` adds further ones. */
export function defineContract(
  contract: Omit<EventContract, "type" | "aliases" | "serverOnly" | "whilePaused" | "planned"> &
    Partial<Pick<EventContract, "aliases" | "serverOnly" | "whilePaused" | "planned">>,
): EventContract {
  return {
    serverOnly: false,
    whilePaused: false,
    planned: false,
    ...contract,
    type: builtinPrefix + contract.name,
    aliases: [shortPrefix + contract.name.replaceAll("/", "-"), ...(contract.aliases ?? [])],
  };
}
