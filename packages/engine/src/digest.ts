/** What an idempotency key was first used with: the same key with other content is a conflict, not a replay. */
import { type EventInput, sortedJson } from "@millrace/protocol";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

/**
 * Digest of the content as the client sent it: type, payload and metadata, whatever the order of their keys.
 * A body that was no event, or that the server wrapped, is compared by its own text.
 */
export function contentDigest(event: EventInput, sentText: string | undefined): string {
  const content =
    sentText === undefined
      ? sortedJson([event.type, event.payload === undefined ? {} : event.payload, event.metadata ?? null])
      : `bytes:${sentText}`;
  return bytesToHex(sha256(utf8ToBytes(content)).subarray(0, 16));
}
