/** Which events a processor is given: all, or those of the types that it has schemas for, with the payload as parsed. */
import type { StreamEvent } from "../event.ts";
import type { SchemaIssue, SchemaResult } from "../standard-schema.ts";
import type { LoadedProcessor } from "./spec.ts";

export type Admitted = { event: StreamEvent } | { fault: string } | undefined;

/** Undefined when it is not for this processor; a fault when its payload is not what the schema asks for. */
export function admit(processor: LoadedProcessor, event: StreamEvent): Admitted | Promise<Admitted> {
  const { events } = processor;
  if (events === undefined) return { event };
  const schema = Object.hasOwn(events, event.type) ? events[event.type] : undefined;
  if (schema === undefined) return undefined;
  const result = schema["~standard"].validate(event.payload);
  return result instanceof Promise ? result.then((late) => judged(event, late)) : judged(event, result);
}

function judged(event: StreamEvent, result: SchemaResult<unknown>): Admitted {
  if (result.issues === undefined) return { event: { ...event, payload: result.value as StreamEvent["payload"] } };
  const said = result.issues.slice(0, 3).map(issueText).join("; ");
  return {
    fault: `The payload of event ${event.offset} of ${event.streamPath} (${event.type}) does not parse: ${said}`,
  };
}

function issueText({ path = [], message }: SchemaIssue): string {
  const keys = path.map((step) => String(typeof step === "object" ? step.key : step));
  return keys.length === 0 ? message : `${keys.join(".")}: ${message}`;
}
