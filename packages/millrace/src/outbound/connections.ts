/**
 * The connections of this process to other hosts: bounded for each origin and in total, kept for the next request while
 * they are young. Who finds none free waits for its turn.
 */
import { OutboundError } from "@millrace/engine";
import type { Connection } from "./connection.ts";

export interface ConnectionsOptions {
  /** Of one origin at the same time. A receiver that hangs holds up no more than these. */
  perOrigin: number;
  /** Of all origins. Each costs a socket. */
  total: number;
  /** Requests that wait for a connection. */
  waitingMax: number;
  /** Older ones are not used again, so that a name that moves is followed. */
  ageMaxMs: number;
  open(destination: URL, onClosed: (connection: Connection) => void): Connection;
}

export interface Connections {
  /** One that nobody else uses. Rejects with the signal's reason. */
  acquire(destination: URL, signal: AbortSignal): Promise<Connection>;
  /** Every one that was acquired is given back, once. */
  release(connection: Connection, reusable: boolean): void;
  close(): Promise<void>;
}

interface Waiting {
  destination: URL;
  give(connection: Connection): void;
}

export function createConnections({ perOrigin, total, waitingMax, ageMaxMs, open }: ConnectionsOptions): Connections {
  const busy = new Set<Connection>();
  /** The least recently used first. */
  const idle: Connection[] = [];
  let waiting: Waiting[] = [];

  function take(destination: URL): Connection | undefined {
    const { origin } = destination;
    const at = idle.findLastIndex((connection) => connection.origin === origin);
    if (at >= 0) return use(idle.splice(at, 1)[0] as Connection);
    if (busy.size >= total || countBusy(origin) >= perOrigin) return undefined;
    if (busy.size + idle.length >= total) idle.shift()?.destroy();
    return use(open(destination, forget));
  }

  function use(connection: Connection): Connection {
    busy.add(connection);
    return connection;
  }

  function countBusy(origin: string): number {
    let count = 0;
    for (const connection of busy) if (connection.origin === origin) count++;
    return count;
  }

  /** One that is in use says itself what became of its request. */
  function forget(connection: Connection): void {
    const at = idle.indexOf(connection);
    if (at < 0) return;
    idle.splice(at, 1);
    connection.destroy();
  }

  function serveWaiting(): void {
    const full = new Set<string>();
    waiting = waiting.filter(({ destination, give }) => {
      if (busy.size >= total || full.has(destination.origin)) return true;
      const connection = take(destination);
      if (connection === undefined) full.add(destination.origin);
      else give(connection);
      return connection === undefined;
    });
  }

  return {
    async acquire(destination, signal) {
      signal.throwIfAborted();
      const connection = take(destination);
      if (connection !== undefined) return connection;
      if (waiting.length >= waitingMax) {
        throw new OutboundError("unreachable", `${waiting.length} requests wait for a connection; no more may.`);
      }
      return new Promise((resolve, reject) => {
        const turn: Waiting = {
          destination,
          give(given) {
            signal.removeEventListener("abort", leave);
            resolve(given);
          },
        };
        waiting.push(turn);
        signal.addEventListener("abort", leave, { once: true });

        function leave(): void {
          waiting = waiting.filter((other) => other !== turn);
          reject(signal.reason);
        }
      });
    },

    release(connection, reusable) {
      busy.delete(connection);
      if (reusable && performance.now() - connection.openedAtMs < ageMaxMs) idle.push(connection);
      else connection.destroy();
      serveWaiting();
    },

    async close() {
      const all = [...busy, ...idle.splice(0)];
      await Promise.all(all.map((connection) => connection.destroy()));
    },
  };
}
