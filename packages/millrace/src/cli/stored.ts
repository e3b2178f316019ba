/** What an append is answered with, as every command that appends prints it. */
import type { StreamEvent } from "@millrace/sdk";
import { createOutput, note } from "./output.ts";

/** @returns the exit code: 1 if something of it was no event. It is kept, but a script should hear of it. */
export async function printStored(stored: readonly StreamEvent[], json: boolean | undefined): Promise<number> {
  const output = createOutput(json);
  for (const event of stored) await output.item(event);
  const invalid = stored.filter(({ type }) => type.endsWith("/events/stream/invalid-event-appended"));
  for (const { offset, payload } of invalid) {
    const { error } = payload as { error?: string };
    note(`stored as an invalid event at offset ${offset}: ${error}`);
  }
  return invalid.length > 0 ? 1 : 0;
}
