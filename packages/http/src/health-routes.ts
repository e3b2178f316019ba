/** `/healthz` and `/readyz`: whether the process answers, and whether it can do its work. They ask for no token. */
import type { Engine } from "@millrace/engine";
import { StreamError } from "@millrace/protocol";
import { type Outgoing, toJson } from "./exchange.ts";

export function healthRoute(): Outgoing {
  return toJson({ status: "ok" });
}

/** @throws StreamError `unavailable`, with what is wrong */
export async function readyRoute(engine: Engine): Promise<Outgoing> {
  const troubles = await engine.troubles();
  if (troubles.length === 0) {
    const { openStreams, readers } = engine.gauges();
    const isolation = await engine.isolation?.();
    const sandbox = isolation && { holds: isolation.description, missing: [...isolation.missing] };
    return toJson({ status: "ready", openStreams, readers, ...(sandbox && { sandbox }) });
  }
  const message = troubles.map((trouble) => trouble.message).join(" ");
  throw new StreamError("unavailable", message, { retryAfterSeconds: 1, troubles });
}
