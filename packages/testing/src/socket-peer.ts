/** Whoever accepts WebSockets: in the simulated network and, for the suite of the way out, on real sockets. */

export interface ReceivedUpgrade {
  url: string;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
}

/** The accepting end of one WebSocket. */
export interface PeerSocket {
  send(text: string): void;
  close(code: number, reason: string): void;
  /** Without a word. */
  cut(): void;
}

/** What it does with one that it accepts. */
export interface PeerTalk {
  opened?(socket: PeerSocket): void;
  hear?(text: string, socket: PeerSocket): void;
  /** By the other side, or cut: then with 1006. */
  ended?(code: number, reason: string): void;
}

/** Accepts, refuses with a status, never answers, or closes the connection. */
export type SocketPeer = (request: ReceivedUpgrade) => PeerTalk | { status: number } | "never" | "closes";
