/**
 * The one event that every scenario appends, and the bytes of a request that carries it.
 * The counter has eight digits from the first to the last, so each body has the same length and can be joined from
 * three strings.
 */
export const firstCounter = 10_000_000;

const content = "The miller opens the gate, the current takes the wheel, and the stones turn all.";
const beforeCounter = `{"type":"message-added","payload":{"role":"user","content":"${content}","n":`;
const afterCounter = "}}";

export const eventBytes = beforeCounter.length + 8 + afterCounter.length;

/** @param {number} counter any whole number: a sequence, or a time in microseconds */
export function eventJson(counter) {
  return beforeCounter + counter + afterCounter;
}

/** @param {number} events */
export function batchJson(events) {
  return `[${Array.from({ length: events }, (_, index) => eventJson(firstCounter + index)).join(",")}]`;
}

/** Everything of a POST before its body. */
export function postHead(port, path, contentLength) {
  return (
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n` +
    `content-type: application/json\r\ncontent-length: ${contentLength}\r\n\r\n`
  );
}

/**
 * The request for each sequence number: `streams` in turn, or a stream of its own for each (`streamPrefix`).
 * The first `warmupCount` go to `warmupStream`.
 * @param {{port: number, pathPrefix: string, streams?: string[], streamPrefix?: string, batch?: number,
 *   warmupCount?: number, warmupStream?: string}} job
 * @returns {(sequence: number) => string | Buffer}
 */
export function httpRequests(job) {
  if (job.warmupStream === undefined) return measuredRequests(job);
  const warmup = measuredRequests({ ...job, streams: [job.warmupStream] });
  const measured = measuredRequests(job);
  return (sequence) => (sequence < job.warmupCount ? warmup : measured)(sequence);
}

function measuredRequests({ port, pathPrefix, streams = [], streamPrefix, batch = 1 }) {
  if (streamPrefix !== undefined) {
    const path = `${pathPrefix}${streamPrefix}`;
    const [start, end] = postHead(port, `${path}#`, eventBytes).split("#");
    return (sequence) => start + (firstCounter + sequence) + end + eventJson(firstCounter + sequence);
  }
  if (batch > 1) {
    const body = batchJson(batch);
    const requests = streams.map((stream) => Buffer.from(postHead(port, pathPrefix + stream, body.length) + body));
    return (sequence) => requests[sequence % requests.length];
  }
  const starts = streams.map((stream) => postHead(port, pathPrefix + stream, eventBytes) + beforeCounter);
  return (sequence) => starts[sequence % starts.length] + (firstCounter + sequence) + afterCounter;
}

/**
 * The same events as `XADD stream * event <json>`; a batch is a pipeline of that many commands.
 * @param {{streams: string[], batch?: number}} job
 * @returns {(sequence: number) => string | Buffer}
 */
export function redisRequests({ streams, batch = 1 }) {
  const command = (stream, event) =>
    `*5\r\n$4\r\nXADD\r\n$${stream.length}\r\n${stream}\r\n$1\r\n*\r\n$5\r\nevent\r\n$${eventBytes}\r\n${event}\r\n`;
  if (batch > 1) {
    const events = Array.from({ length: batch }, (_, index) => eventJson(firstCounter + index));
    const requests = streams.map((stream) => Buffer.from(events.map((event) => command(stream, event)).join("")));
    return (sequence) => requests[sequence % requests.length];
  }
  const parts = streams.map((stream) => command(stream, eventJson("#")).split("#"));
  return (sequence) => {
    const [start, end] = parts[sequence % parts.length];
    return start + (firstCounter + sequence) + end;
  };
}
