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
  /** One that nobody else uses, nor did for another `owner`. Rejects with the signal's reason. */
  acquire(destination: URL, signal: AbortSignal, owner?: string): Promise<Connection>;
  /** Every one that was acquired is given back, once. */
  release(connection: Connection, reusable: boolean): void;
  close(): Promise<void>;
}

interface Waiting {
  destination: URL;
  place: string;
  give(connection: Connection): void;
}

export function createConnections({ perOrigin, total, waitingMax, ageMaxMs, open }: ConnectionsOptions): Connections {
  const busy = new Set<Connection>();
  /** The least recently used first. */
  const idle: Connection[] = [];
  let waiting: Waiting[] = [];
  /** The origin that each leads to, and whose it is. */
  const places = new WeakMap<Connection, string>();

  function take(destination: URL, place: string): Connection | undefined {
    const at = idle.findLastIndex((connection) => places.get(connection) === place);
    if (at >= 0) return use(idle.splice(at, 1)[0] as Connection);
    if (busy.size >= total || countBusy(place) >= perOrigin) return undefined;
    if (busy.size + idle.length >= total) idle.shift()?.destroy();
    const connection = open(destination, forget);
    places.set(connection, place);
    return use(connection);
  }

  function use(connection: Connection): Connection {
    busy.add(connection);
    return connection;
  }

  function countBusy(place: string): number {
    let count = 0;
    for (const connection of busy) if (places.get(connection) === place) count++;
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
    waiting = waiting.filter(({ destination, place, give }) => {
      if (busy.size >= total || full.has(place)) return true;
      const connection = take(destination, place);
      if (connection === undefined) full.add(place);
      else give(connection);
      return connection === undefined;
    });
  }

  return {
    async acquire(destination, signal, owner = "") {
      signal.throwIfAborted();
      const place = `${destination.origin} ${owner}`;
      const connection = take(destination, place);
      if (connection !== undefined) return connection;
      if (waiting.length >= waitingMax) {
        throw new OutboundError("unreachable", `${waiting.length} requests wait for a connection; no more may.`);
      }
      return new Promise((resolve, reject) => {
        const turn: Waiting = {
          destination,
          place,
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
