/**
 * One sender for each stream, which sends one keyed event after another. What has no acknowledgement when the server
 * dies is sent again with its key before anything else goes to that stream: so the order of sending is that of the log.
 */
import type { StreamEvent } from "@millrace/protocol";
import { append } from "../processes/http.ts";
import type { ServerProcess } from "../processes/server-process.ts";
import type { Round } from "./harness.ts";

export interface Sender {
  /** @throws when it is not acknowledged; it is sent again then by `resend` */
  send(server: ServerProcess, event: object): Promise<StreamEvent>;
  resend(server: ServerProcess): Promise<void>;
}

export function createSender(project: string, path: string, onStored: (event: StreamEvent) => void = () => {}): Sender {
  let sent = 0;
  let open: object | undefined;

  async function post(server: ServerProcess, event: object): Promise<StreamEvent> {
    open = event;
    const headers = { "x-project-slug": project, "idempotency-key": `${path} ${sent}` };
    const [stored] = await append(server.url, path, event, headers);
    open = undefined;
    sent++;
    onStored(stored as StreamEvent);
    return stored as StreamEvent;
  }

  return {
    send: post,
    async resend(server) {
      if (open !== undefined) await post(server, open);
    },
  };
}

/** Sends what `next` gives until the server is dead. */
export async function sendUntilDead(
  sender: Sender,
  { server, round, signal }: { server: ServerProcess; round: Round; signal: AbortSignal },
  next: () => object,
): Promise<void> {
  try {
    while (!signal.aborted) {
      await sender.send(server, next());
      round.underway();
    }
  } catch {
    // Not acknowledged: it may be on disk or not.
  }
}
