/**
 * One keep-alive connection over a raw socket. `onread` hands over one reused buffer instead of allocating for each
 * read, and skips the readable-stream machinery.
 */
import { connect } from "node:net";
import { ResponseParser } from "./response-parser.mjs";

const readBufferBytes = 64 * 1024;

/**
 * @param {number} port
 * @param {{onEnd: (status: number) => void, onClose: (error?: Error) => void, onHead?: (status: number) => void,
 *   onBody?: (buffer: Buffer, start: number, end: number) => void}} handlers
 * @returns {Promise<{send: (request: string | Buffer) => void, close: () => void}>}
 */
export function openHttp(port, handlers) {
  const parser = new ResponseParser(handlers);
  return openSocket(port, (buffer, length) => parser.push(buffer, length), handlers.onClose);
}

/** @param {(buffer: Buffer, length: number) => void} onBytes the buffer is only valid during the call */
export function openSocket(port, onBytes, onClose) {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: "127.0.0.1",
      port,
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(readBufferBytes),
        callback(length, buffer) {
          onBytes(buffer, length);
          return true;
        },
      },
    });
    socket.once("connect", () =>
      resolve({ send: (request) => socket.write(request, "latin1"), close: () => socket.destroy() }),
    );
    socket.on("error", (error) => {
      reject(error);
      onClose(error);
    });
    socket.on("close", () => onClose());
  });
}
