/**
 * One request and its answer, over one connection. Of the body no more is read than was asked for; the connection of an
 * answer that was not read to its end is of no further use.
 */
import type { OutboundResponse } from "@millrace/engine";
import type { Client, Dispatcher } from "undici";

export interface Exchange {
  destination: URL;
  headers: Record<string, string>;
  body: string;
  responseBytesMax: number;
  signal: AbortSignal;
  /** Told how far it has come. */
  onStage(missing: "answer" | "end of the answer"): void;
}

export interface Exchanged {
  response: OutboundResponse;
  /** False where the rest of the body was left. */
  whole: boolean;
}

/** Rejects with the signal's reason, or with what undici and Node say. */
export function exchange(client: Client, request: Exchange): Promise<Exchanged> {
  const { destination, headers, body, responseBytesMax, signal, onStage } = request;
  return new Promise((resolve, reject) => {
    let response: OutboundResponse | undefined;
    let read: Buffer | undefined;
    let length = 0;
    let settled = false;

    function settle(whole: boolean): void {
      settled = true;
      signal.removeEventListener("abort", cut);
      const text = read === undefined ? "" : toText(read.subarray(0, length), whole);
      resolve({ response: { ...(response as OutboundResponse), body: text }, whole });
    }

    function fail(error: unknown): void {
      signal.removeEventListener("abort", cut);
      reject(error);
    }

    function cut(): void {
      fail(signal.reason);
    }

    if (signal.aborted) return cut();
    signal.addEventListener("abort", cut, { once: true });
    const path = `${destination.pathname}${destination.search}`;
    client.dispatch(
      { path, method: "POST", headers, body },
      {
        onRequestStart: () => onStage("answer"),
        onResponseStart(_controller, status, fields) {
          // 102, 103: the answer is still to come.
          if (status < 200) return;
          response = { status, headers: joined(fields), body: "" };
          onStage("end of the answer");
          if (responseBytesMax <= 0) settle(false);
        },
        onResponseData(_controller, chunk) {
          // What was already on its way when it was cut.
          if (settled) return;
          // Copied, because a piece of one byte would keep the memory of the whole packet that it came in.
          read ??= Buffer.allocUnsafe(Math.max(responseBytesMax, 0));
          length += chunk.copy(read, length);
          if (length >= responseBytesMax) settle(false);
        },
        onResponseEnd() {
          if (!settled) settle(true);
        },
        onResponseError(_controller, error) {
          if (response !== undefined && endsWithHeaders(response.status)) settle(false);
          else fail(error);
        },
      },
    );
  });
}

/** Some servers give such an answer a length, which says nothing about it. */
function endsWithHeaders(status: number): boolean {
  return status === 204 || status === 304;
}

/** Where it was cut, a character that was cut with it is left out. */
function toText(bytes: Buffer, whole: boolean): string {
  return new TextDecoder().decode(bytes, { stream: !whole });
}

function joined(fields: Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseStart"]>>[2]) {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : String(value)]),
  );
}
