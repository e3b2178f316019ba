/**
 * A process: reads a whole stream in one of several ways, from the client of the SDK down to bytes that nobody looks
 * at, and says how long it took. It is asked many times, so that it is compiled as a program that runs is.
 */
import { serveJobs } from "./jobs.mjs";

const ways = {
  async read({ client, stream, events }) {
    return take(client.read(stream), events);
  },
  async stream({ client, stream, events }) {
    return take(client.stream(stream), events);
  },
  async filtered({ client, stream, events, types }) {
    return take(client.stream(stream, { types }), events);
  },
  /** What no client can do without: lines, and the JSON in them. */
  async lines({ url }) {
    const decoder = new TextDecoder();
    let rest = "";
    let count = 0;
    for await (const bytes of (await answerOf(`${url}?format=ndjson`)).body) {
      const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = parts.pop();
      for (const line of parts) if (JSON.parse(line).offset > 0) count++;
    }
    return count;
  },
  /** The same in pages, each asked for when the one before is done with. */
  async pages({ url }) {
    let count = 0;
    for (let query = ""; query !== null; ) {
      const page = await (await answerOf(`${url}?format=json${query}`)).json();
      for (const { offset } of page.events) if (offset > 0) count++;
      query = page.next === null ? null : `&after=${page.next}`;
    }
    return count;
  },
  async bytes({ url, events }) {
    let total = 0;
    for await (const bytes of (await answerOf(`${url}?format=sse`)).body) total += bytes.length;
    if (total < events * 100) throw new Error(`${total} bytes are not ${events} events`);
    return events;
  },
};

serveJobs(async ({ way, sdk, port, stream, events, ...job }) => {
  const { createEventsClient } = await import(sdk);
  const baseUrl = `http://127.0.0.1:${port}`;
  const client = createEventsClient({ baseUrl });
  const startedAt = performance.now();
  const count = await ways[way]({ ...job, client, stream, events, url: `${baseUrl}/api/streams/${stream}` });
  const milliseconds = performance.now() - startedAt;
  if (count !== events) throw new Error(`${way} gave ${count} events of ${events}`);
  return { milliseconds };
});

async function answerOf(url) {
  const answer = await fetch(url);
  if (answer.status !== 200) throw new Error(`${url} was answered ${answer.status}`);
  return answer;
}

/** The last event ends it: a live read would wait for more. */
async function take(stream, events) {
  let count = 0;
  for await (const event of stream) if (event.offset > 0 && ++count === events) break;
  return count;
}
