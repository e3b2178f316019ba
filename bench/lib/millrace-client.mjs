/** What scenarios need of Millrace's wire contract outside the measured window. */

const breakerOff = {
  type: "https://events.iterate.com/events/stream/circuit-breaker-configured",
  payload: { burstCapacity: 0, refillRatePerMinute: 1 },
};

const atOnce = 50;

/** Without this a stream would pause itself at benchmark rates, as it should. @param {string[]} streams */
export async function turnBreakersOff(port, streams) {
  for (let first = 0; first < streams.length; first += atOnce) {
    await Promise.all(streams.slice(first, first + atOnce).map((stream) => append(port, stream, breakerOff)));
  }
}

/** @returns {Promise<any>} the stored event */
export async function append(port, stream, event) {
  const answer = await fetch(`http://127.0.0.1:${port}/api/streams/${stream}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(event),
  });
  const body = await answer.json();
  if (answer.status !== 200 || body.event === undefined || body.event.type !== event.type) {
    throw new Error(`append to ${stream} was answered ${answer.status} ${JSON.stringify(body).slice(0, 300)}`);
  }
  return body.event;
}

/** One commit. */
export async function appendBatch(port, stream, events) {
  const answer = await fetch(`http://127.0.0.1:${port}/api/streams/${stream}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(events),
  });
  const { events: stored } = await answer.json();
  if (answer.status !== 200 || stored.some(({ type }, index) => type !== events[index].type)) {
    throw new Error(`a batch to ${stream} was answered ${answer.status} ${JSON.stringify(stored).slice(0, 300)}`);
  }
}

/** Every event at and below a path. */
export async function readSubtree(port, stream) {
  const answer = await fetch(`http://127.0.0.1:${port}/api/streams/${stream}?includeChildren=true&format=ndjson`);
  if (!answer.ok) throw new Error(`${stream} was answered ${answer.status}`);
  const lines = (await answer.text()).split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line));
}

/** The highest offset of a stream; 0 when it does not exist. */
export async function headOf(port, stream) {
  const answer = await fetch(`http://127.0.0.1:${port}/api/state/${stream}`);
  if (answer.status === 404) return 0;
  if (!answer.ok) throw new Error(`state of ${stream} was answered ${answer.status}`);
  return (await answer.json()).head;
}

/** The bytes of one stored event as a reader gets it. */
export async function servedBytes(port, stream) {
  const answer = await fetch(`http://127.0.0.1:${port}/api/streams/${stream}?format=json&order=desc&limit=1`);
  const { events } = await answer.json();
  return JSON.stringify(events[0]).length;
}
