import { ExpressionError, type Expressions } from "@millrace/engine";
import jsonata from "jsonata";
export function createInProcessExpressions(): Expressions {
  return {
    async evaluate({ matcher, transform }, input) {
      try {
        const value: unknown = JSON.parse(input);
        if (matcher !== undefined && (await jsonata(`$boolean((${matcher}))`).evaluate(value)) !== true) return { matched: false };
        if (transform === undefined) return { matched: true };
        const result = JSON.stringify(await jsonata(transform).evaluate(value));
        return result === undefined ? { matched: true } : { matched: true, result };
      } catch (error) {
        throw new ExpressionError("failed", String((error as { message?: string }).message));
      }
    },
    close: async () => {},
  };
}
