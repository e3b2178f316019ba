/** Opens a WebSocket to each URL that it is given, says hello, prints what comes, and closes it: then the process ends. */
import { createOutbound } from "millrace";

const outbound = createOutbound({ allowPrivateDestinations: true, lookup: async () => ["127.0.0.1"] });
for (const url of process.argv.slice(2)) {
  let hear = () => {};
  const heard = new Promise((resolve) => {
    hear = resolve;
  });
  const request = { url, headers: {}, timeoutMs: 10_000, messageBytesMax: 1_000, onMessage: hear };
  const outcome = await outbound.connect({ ...request, signal: new AbortController().signal }).then(
    async (socket) => {
      await socket.send("hello");
      const message = await heard;
      socket.close(1000, "bye");
      return { message, closed: await socket.closed };
    },
    ({ reason, message }) => ({ reason, message }),
  );
  console.log(JSON.stringify(outcome));
}
