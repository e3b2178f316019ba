/** The schemas that judge payloads, as JSON Schema for documents: what is documented is what validates. */
import { z } from "zod";
import type { EventContract } from "./contract.ts";
import type { JsonObject } from "./json.ts";

/** Of a built-in event's payload. What no JSON Schema can say (that JSONata compiles) stands in descriptions. */
export function payloadSchema({ payload }: EventContract): JsonObject {
  const { $schema: _, ...schema } = z.toJSONSchema(payload, {
    unrepresentable: "any",
    override({ jsonSchema }) {
      // True of all JSON, so it says nothing to a reader.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      delete jsonSchema.propertyNames;
    },
  });
  return schema as JsonObject;
}
