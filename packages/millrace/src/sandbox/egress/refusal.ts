/** What the gate answers itself, instead of the host that was asked. */
import { isOutboundError, isSecretError } from "@millrace/engine";

export type EgressCode = "request" | "host" | "destination" | "secret" | "cause" | "busy" | "unreachable" | "timeout";

const statuses: Readonly<Record<EgressCode, number>> = {
  request: 400,
  host: 403,
  destination: 403,
  secret: 403,
  cause: 403,
  busy: 503,
  unreachable: 502,
  timeout: 504,
};

/** Names why; no answer of another host has it. */
export const egressHeader = "x-millrace-egress";

export class EgressRefusal extends Error {
  override readonly name = "EgressRefusal";
  readonly code: EgressCode;

  constructor(code: EgressCode, message: string) {
    super(message);
    this.code = code;
  }

  get status(): number {
    return statuses[this.code];
  }

  /** Somebody's rule was broken; the network had no part in it. */
  get isRefusal(): boolean {
    return this.code !== "unreachable" && this.code !== "timeout";
  }
}

/** In words that hold no header's value. Rethrows what is no matter of the request. */
export function toRefusal(error: unknown): EgressRefusal {
  if (error instanceof EgressRefusal) return error;
  if (isSecretError(error)) return new EgressRefusal("secret", error.message);
  if (!isOutboundError(error)) throw error;
  if (error.reason === "refused") return new EgressRefusal("destination", error.message);
  return new EgressRefusal(error.reason === "timeout" ? "timeout" : "unreachable", error.message);
}

export interface OwnAnswer {
  status: number;
  headers: [string, string][];
  body: Buffer;
}

export function answerOf(refusal: EgressRefusal): OwnAnswer {
  const { code, message, status } = refusal;
  const body = Buffer.from(`${JSON.stringify({ error: { code: `egress_${code}`, message } })}\n`);
  return {
    status,
    headers: [
      ["content-type", "application/json"],
      [egressHeader, code],
      ...(code === "busy" ? ([["retry-after", "1"]] as [string, string][]) : []),
    ],
    body,
  };
}
