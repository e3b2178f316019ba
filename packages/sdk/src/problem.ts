/** An answer that is no 200, as the error that it means. */
import type { ErrorCode } from "@millrace/protocol";
import { MillraceError, type MillraceErrorData } from "./errors.ts";
import type { Answer } from "./transport.ts";

const bodyShownCharacters = 300;

export async function toError(response: Answer, url: string): Promise<MillraceError> {
  const text = await response.text().catch(() => "");
  const retryAfterMs = retryAfterOf(response);
  const { status } = response;
  const problem = problemIn(text);
  if (problem === undefined) return unexpectedAnswer(url, status, text, retryAfterMs);
  const { type: _type, title: _title, status: _status, code, detail, ...data } = problem;
  return new MillraceError(code as ErrorCode, String(detail), data as unknown as MillraceErrorData[ErrorCode], {
    status,
    retryAfterMs,
  });
}

export function unexpectedAnswer(
  url: string,
  status: number,
  body: string,
  retryAfterMs?: number,
): MillraceError<"unexpected_answer"> {
  const shown = body.slice(0, bodyShownCharacters);
  return new MillraceError(
    "unexpected_answer",
    `Expected the answer of a Millrace server from ${url}, got status ${status} with ${JSON.stringify(shown.slice(0, 80))}. Is the base URL right, and what stands between?`,
    { url, body: shown },
    { status, retryAfterMs },
  );
}

/** Whatever has the `code` of a problem document is one, also where a proxy has taken the content type away. */
function problemIn(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text) as Record<string, unknown> | null;
    return typeof value?.code === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

function retryAfterOf(response: Answer): number | undefined {
  const seconds = response.headers.get("retry-after");
  return seconds !== null && /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1_000 : undefined;
}
