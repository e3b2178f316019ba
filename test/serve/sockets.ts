/** Bytes to a server and back, without a client in between that would put them right. */
import { connect, type Socket } from "node:net";

export interface Connection {
  socket: Socket;
  /** Everything that came so far. */
  received(): string;
  /** Resolves with everything that came, when the server has closed its side. */
  closed: Promise<string>;
  /** Resolves with everything that came, as soon as `enough` says so; it is told when nothing more can come. */
  until(enough: (text: string, ended: boolean) => boolean): Promise<string>;
}

const patienceMs = 20_000;

export function open(port: number): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    let text = "";
    let ended = false;
    const watchers = new Set<() => void>();
    const tell = () => {
      for (const watch of watchers) watch();
    };
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      text += chunk;
      tell();
    });
    for (const end of ["end", "close"]) {
      socket.on(end, () => {
        ended = true;
        tell();
      });
    }
    // A reset is an answer too: the promise below settles, and the test looks at what had come by then.
    socket.on("error", reject);
    const closed = new Promise<string>((settle) => {
      socket.on("end", () => {
        socket.end();
        settle(text);
      });
      socket.on("close", () => settle(text));
    });
    const until = (enough: (text: string, ended: boolean) => boolean) =>
      within(
        new Promise<string>((settle, fail) => {
          const watch = () => {
            try {
              if (!enough(text, ended)) return;
              settle(text);
            } catch (error) {
              fail(error);
            }
            watchers.delete(watch);
          };
          watchers.add(watch);
          watch();
        }),
        () => `waited for more than ${JSON.stringify(text.slice(-300))}`,
      );
    socket.on("connect", () => resolve({ socket, received: () => text, closed, until }));
  });
}

/** Sends the bytes, and gives everything that came until the server closed. */
export async function exchange(port: number, bytes: string | Uint8Array): Promise<string> {
  const connection = await open(port);
  connection.socket.write(bytes);
  try {
    return await within(
      connection.closed,
      () => `still open after ${JSON.stringify(connection.received().slice(-300))}`,
    );
  } finally {
    connection.socket.destroy();
  }
}

/** The statuses of all responses in a text, in order. */
export function statuses(text: string): number[] {
  return [...text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));
}

async function within<Value>(promise: Promise<Value>, describe: () => string): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(describe())), patienceMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
