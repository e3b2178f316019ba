/** A TCP proxy between client and server that can cut every connection, and lead to another server from then on. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface CuttingProxy {
  url: string;
  /** How many connections there were. */
  connections(): number;
  /** Cuts every connection, in the middle of whatever it is at. */
  cut(): void;
  /** Cuts each new connection after so many bytes from the server; `undefined`: no longer. */
  cutAfter(bytes: () => number | undefined): void;
  leadTo(url: string): void;
  close(): Promise<void>;
}

export async function startCuttingProxy(target: string): Promise<CuttingProxy> {
  let { hostname, port } = new URL(target);
  const open = new Set<Socket>();
  let connections = 0;
  let limitOf: () => number | undefined = () => undefined;
  const server = createServer((inner) => {
    connections++;
    const outer = connect(Number(port), hostname);
    const end = () => {
      for (const socket of [inner, outer]) {
        socket.destroy();
        open.delete(socket);
      }
    };
    for (const socket of [inner, outer]) {
      open.add(socket);
      socket.on("error", end).on("close", end);
    }
    let left = limitOf() ?? Infinity;
    inner.pipe(outer);
    outer.on("data", (chunk: Buffer) => {
      // What goes before the cut arrives, so that it hits the middle of a frame.
      if (chunk.length < left) inner.write(chunk);
      else inner.write(chunk.subarray(0, left), end);
      left -= chunk.length;
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    cut,
    cutAfter(bytes) {
      limitOf = bytes;
    },
    leadTo(url) {
      ({ hostname, port } = new URL(url));
    },
    async close() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
