/** The fields of a payload as a table for people: one row for each, and what may stand in it. */
import { isJsonObject, type JsonObject, type JsonValue } from "@millrace/protocol";
import { escapeHtml } from "../page.ts";

export function schemaTable(schema: JsonObject): string {
  const properties = isJsonObject(schema.properties) ? Object.entries(schema.properties) : [];
  if (properties.length === 0) return "<p>The payload is an empty object.</p>";
  const required = Array.isArray(schema.required) ? schema.required : [];
  const rows = properties.map(([name, field]) => {
    const needed = required.includes(name) ? "required" : "";
    return `<tr><td><code>${escapeHtml(name)}</code><td>${escapeHtml(shapeOf(field))}<td>${needed}`;
  });
  return `<table><tr><th>field<th>is<th>\n${rows.join("\n")}\n</table>`;
}

/** A schema in a few words. */
export function shapeOf(schema: JsonValue | undefined): string {
  if (!isJsonObject(schema)) return "any JSON";
  const { description } = schema;
  if (typeof description === "string") return description.replace(/\.$/, "");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  const choices = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(choices)) return choices.map(shapeOf).join(", or ");
  if (schema.type === "array") return `a list of: ${shapeOf(schema.items)}`;
  if (schema.type === "object") return objectShape(schema);
  if (typeof schema.type === "string") return schema.type + bounds(schema);
  return "any JSON";
}

function objectShape({ properties, required, additionalProperties }: JsonObject): string {
  if (!isJsonObject(properties)) {
    return isJsonObject(additionalProperties) && additionalProperties.type === "string"
      ? "an object of strings"
      : "an object";
  }
  const needed = Array.isArray(required) ? required : [];
  const fields = Object.entries(properties).map(
    ([name, field]) => `${name}${needed.includes(name) ? "" : "?"}: ${shapeOf(field)}`,
  );
  return `{${fields.join(", ")}}`;
}

function bounds({ minimum, maximum, exclusiveMinimum, maxLength, format }: JsonObject): string {
  const words: string[] = [];
  if (typeof format === "string") words.push(format);
  if (typeof minimum === "number") words.push(`from ${minimum}`);
  if (typeof exclusiveMinimum === "number") words.push(`above ${exclusiveMinimum}`);
  if (typeof maximum === "number") words.push(`to ${maximum}`);
  if (typeof maxLength === "number") words.push(`at most ${maxLength} characters`);
  return words.length === 0 ? "" : ` (${words.join(", ")})`;
}
