/**
 * The two ends of a WebSocket as a Worker makes them (`new WebSocketPair()`), by what Cloudflare documents: the end that
 * a program keeps neither sends nor tells anything before `accept()`, says so with a TypeError, and leaves the answer to
 * a close to the program.
 */
type Message = { type: "message"; data: string } | { type: "close"; code: number; reason: string };
type Listener = (event: Message & { data: unknown }) => void;

export class PairedSocket {
  other: PairedSocket | undefined;
  #isAccepted = false;
  #hasClosed = false;
  #waiting: Message[] = [];
  readonly #listeners = new Map<string, Listener[]>();

  /** Again, or after the end, it does nothing. */
  accept(): void {
    this.#isAccepted = true;
    for (const message of this.#waiting.splice(0)) this.#tell(message);
  }

  send(data: string): void {
    if (!this.#isAccepted) throw new TypeError("You must call accept() on this WebSocket before sending messages.");
    if (this.#hasClosed) throw new TypeError("Can't call WebSocket send() after close().");
    this.other?.receive({ type: "message", data });
  }

  close(code = 1005, reason = ""): void {
    if (!this.#isAccepted) throw new TypeError("You must call accept() on this WebSocket before calling close().");
    if (this.#hasClosed) return;
    this.#hasClosed = true;
    this.other?.receive({ type: "close", code, reason });
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  receive(message: Message): void {
    if (this.#isAccepted) queueMicrotask(() => this.#tell(message));
    else this.#waiting.push(message);
  }

  #tell(message: Message): void {
    for (const listener of this.#listeners.get(message.type) ?? []) listener(message as never);
  }
}

/** As `Object.values(new WebSocketPair())`. */
export function createWebSocketPair(): [theirs: PairedSocket, ours: PairedSocket] {
  const [theirs, ours] = [new PairedSocket(), new PairedSocket()];
  theirs.other = ours;
  ours.other = theirs;
  return [theirs, ours];
}
