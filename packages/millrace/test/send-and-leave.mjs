/** Sends to each URL that it is given, says what came, and leaves without closing anything: then the process ends. */
import { createOutbound } from "millrace";

const outbound = createOutbound({
  allowPrivateDestinations: true,
  lookup: async () => ["127.0.0.1"],
  idleMs: 600_000,
});
for (const url of process.argv.slice(2)) {
  const request = { url, method: "POST", headers: {}, body: "{}", timeoutMs: 10_000, responseBytesMax: 1_000 };
  const outcome = await outbound.send({ ...request, signal: new AbortController().signal }).then(
    ({ status, body }) => ({ status, body }),
    ({ reason, message }) => ({ reason, message }),
  );
  console.log(JSON.stringify(outcome));
}
