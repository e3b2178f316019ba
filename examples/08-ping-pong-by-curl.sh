# Answer each ping with a pong, with nothing but curl: the processor is an event, and the server runs it.
#
#     sh examples/08-ping-pong-by-curl.sh
#
# and in another terminal: curl --json '{"type":"ping","payload":{"n":1}}' http://127.0.0.1:4040/examples/deployed
# then: curl 'http://127.0.0.1:4040/examples/deployed?format=yaml'
#
# Nothing has to stay open here. Run it again with other code, and the new code goes on where the old one stood.

STREAM="${MILLRACE_URL:-http://127.0.0.1:4040}${1:-/examples/deployed}"

curl --silent --show-error --fail-with-body --json @- "$STREAM" <<'END'
{
  "type": "https://events.iterate.com/events/stream/dynamic-worker/configured",
  "payload": {
    "slug": "ping-pong",
    "script": "export default {\n  initialState: { pings: 0 },\n  reduce: ({ state, event }) => (event.type === 'ping' ? { pings: state.pings + 1 } : state),\n  async afterAppend({ event, state, append }) {\n    if (event.type !== 'ping') return;\n    await append({ type: 'pong', payload: { n: event.payload.n, count: state.pings } });\n  },\n};\n"
  }
}
END
