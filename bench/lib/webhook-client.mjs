/**
 * A process: the least that a sender of webhooks could do. The same HTTP client as the server's (undici), one connection
 * for each receiver with one request at a time on it, and neither a log nor a cursor nor a signature. It sends events as
 * they are stored: as fast as the answers come, or at times that are due.
 */
import { eventJson, firstCounter } from "./events.mjs";
import { serveJobs } from "./jobs.mjs";
import { monotonicMicroseconds } from "./monotonic.mjs";

serveJobs(async ({ ports, perReceiver, perSecond, durationMs, each }) => {
  const { Client } = await import("undici");
  const clients = ports.map((port) => new Client(`http://127.0.0.1:${port}`, { pipelining: 1 }));
  const before = process.cpuUsage();
  const sent =
    perReceiver === undefined
      ? await sendPaced(clients, { perSecond, durationMs, each })
      : await sendAll(clients, perReceiver);
  const { user, system } = process.cpuUsage(before);
  await Promise.all(clients.map((client) => client.close()));
  return { sent, cpuMicroseconds: (user + system) / sent };
});

/** So many to each, one after another. */
async function sendAll(clients, perReceiver) {
  const follow = async (client) => {
    for (let n = 0; n < perReceiver; n++) await send(client, firstCounter + n);
  };
  await Promise.all(clients.map(follow));
  return clients.length * perReceiver;
}

/** At fixed times, to each receiver, or to one after the other. Latency counts from when it was due. */
async function sendPaced(clients, { perSecond, durationMs, each }) {
  const total = Math.round((perSecond * durationMs) / 1_000);
  const startsAt = monotonicMicroseconds();
  const dueAt = (sequence) => startsAt + Math.floor((sequence * 1_000_000) / perSecond);
  const answers = [];
  for (let sequence = 0; sequence < total; ) {
    for (; sequence < total && dueAt(sequence) <= monotonicMicroseconds(); sequence++) {
      const to = each ? clients : [clients[sequence % clients.length]];
      for (const client of to) answers.push(send(client, dueAt(sequence)));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(answers);
  return answers.length;
}

async function send(client, n) {
  const { statusCode, body } = await client.request({
    path: "/",
    method: "POST",
    headers: { "content-type": "application/json", "user-agent": "bench" },
    body: storedEvent(n),
  });
  await body.dump();
  if (statusCode !== 200) throw new Error(`a receiver answered ${statusCode}`);
}

function storedEvent(n) {
  const own = `"streamPath":"/bench/webhook","offset":123456,"createdAt":"2026-01-01T00:00:00.000Z"`;
  return `{${own},${eventJson(n).slice(1)}`;
}
