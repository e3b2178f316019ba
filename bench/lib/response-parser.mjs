/**
 * Just enough HTTP/1.1 to frame answers on a keep-alive connection: the status, then a body by content-length or
 * chunks. Body bytes are skipped unless somebody asks for them. A parser lives as long as its connection.
 */
const headSliceBytes = 4096;
const contentLength = /\r\ncontent-length:[ \t]*(\d+)/i;
const chunked = /\r\ntransfer-encoding:[ \t]*chunked/i;

/** What the next byte belongs to. */
const inHead = 0;
const inBody = 1;
const inChunkSize = 2;
const inChunkData = 3;
const inTrailer = 4;

export class ResponseParser {
  /**
   * @param {{onEnd: (status: number) => void, onHead?: (status: number) => void,
   *   onBody?: (buffer: Buffer, start: number, end: number) => void}} handlers
   */
  constructor({ onEnd, onHead, onBody }) {
    this.onEnd = onEnd;
    this.onHead = onHead;
    this.onBody = onBody;
    this.state = inHead;
    this.status = 0;
    this.remaining = 0;
    this.text = ""; // an unfinished head or line
  }

  /** @param {Buffer} buffer @param {number} length bytes of it that are valid */
  push(buffer, length) {
    let at = 0;
    while (at < length) {
      if (this.state === inHead) at = this.#head(buffer, at, length);
      else if (this.state === inBody || this.state === inChunkData) at = this.#data(buffer, at, length);
      else at = this.#line(buffer, at, length);
    }
  }

  #head(buffer, at, length) {
    const before = this.text.length;
    const text = this.text + buffer.latin1Slice(at, Math.min(length, at + headSliceBytes));
    const end = text.indexOf("\r\n\r\n");
    if (end === -1) {
      this.text = text;
      return at + text.length - before;
    }
    this.text = "";
    this.status = (text.charCodeAt(9) - 48) * 100 + (text.charCodeAt(10) - 48) * 10 + (text.charCodeAt(11) - 48);
    this.#startBody(text.slice(0, end));
    return at + end + 4 - before;
  }

  #startBody(head) {
    this.onHead?.(this.status);
    const length = contentLength.exec(head);
    if (length !== null && length[1] !== "0") {
      this.remaining = Number(length[1]);
      this.state = inBody;
    } else if (length === null && chunked.test(head)) this.state = inChunkSize;
    else this.#finish(); // 204, or an empty body
  }

  #data(buffer, at, length) {
    const end = Math.min(length, at + this.remaining);
    this.onBody?.(buffer, at, end);
    this.remaining -= end - at;
    if (this.remaining === 0) {
      if (this.state === inBody) this.#finish();
      else this.state = inChunkSize; // the line break behind a chunk reads as an empty size line
    }
    return end;
  }

  #line(buffer, at, length) {
    const newline = buffer.indexOf(10, at);
    if (newline === -1 || newline >= length) {
      this.text += buffer.latin1Slice(at, length);
      return length;
    }
    const line = (this.text + buffer.latin1Slice(at, newline)).trimEnd();
    this.text = "";
    if (this.state === inTrailer) {
      if (line === "") this.#finish();
    } else if (line !== "") {
      this.remaining = Number.parseInt(line, 16);
      this.state = this.remaining === 0 ? inTrailer : inChunkData;
    }
    return newline + 1;
  }

  #finish() {
    this.state = inHead;
    this.onEnd(this.status);
  }
}
