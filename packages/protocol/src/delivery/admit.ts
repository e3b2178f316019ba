/** Which events a processor is given: all, or those of the types that it has schemas for, with the payload as parsed. */
import type { StreamEvent } from "../event.ts";
import type { SchemaIssue, StandardSchema } from "../standard-schema.ts";
import { isThenable } from "../thenable.ts";
import type { LoadedProcessor } from "./spec.ts";

export type Admitted = { event: StreamEvent } | { fault: string } | undefined;

/**
 * Undefined when it is not for this processor; a fault when its payload is not what the schema asks for. A promise only
 * where a schema answers with one: of zod also one that has no promise in it, and whose transform throws.
 * @throws Error when the schema is asynchronous: no fault of the event, but of the processor
 */
export function admit({ events }: LoadedProcessor, event: StreamEvent): Admitted | Promise<Admitted> {
  if (events === undefined) return { event };
  const schema = Object.hasOwn(events, event.type) ? events[event.type] : undefined;
  if (schema === undefined) return undefined;
  let result: ReturnType<StandardSchema["~standard"]["validate"]>;
  try {
    result = schema["~standard"].validate(event.payload);
  } catch (error) {
    return faultOf(event, thrown(error));
  }
  if (isThenable(result)) {
    return result.then(
      () => refuse(event),
      (error) => faultOf(event, thrown(error)),
    );
  }
  if (result.issues !== undefined) return faultOf(event, result.issues.slice(0, 3).map(issueText).join("; "));
  if (!isThenable(result.value)) return { event: { ...event, payload: result.value as StreamEvent["payload"] } };
  result.value.then(undefined, () => {});
  return refuse(event);
}

/** A state is folded from the log alone: what would have to wait for anything else has no place before it. */
function refuse({ type }: StreamEvent): never {
  throw new Error(`The schema of ${type} is asynchronous: it answered with a promise. It has to be synchronous.`);
}

function faultOf({ offset, streamPath, type }: StreamEvent, said: string): { fault: string } {
  return { fault: `The payload of event ${offset} of ${streamPath} (${type}) does not parse: ${said}` };
}

/** By a transform, such as a `new URL` of what is none. */
function thrown(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function issueText({ path = [], message }: SchemaIssue): string {
  const keys = path.map((step) => String(typeof step === "object" ? step.key : step));
  return keys.length === 0 ? message : `${keys.join(".")}: ${message}`;
}
