/** A WebSocket subscription on Node, with `ws`: `PORT=8080 node examples/hosts/node-socket.mjs`. */
import { createEventsClient, createSocketHandler } from "@millrace/sdk/processor";
import { WebSocketServer } from "ws";
import { pong } from "./pong.mjs";

const { MILLRACE_URL, PORT, SIGNING_SECRET } = process.env;
const client = createEventsClient({ baseUrl: MILLRACE_URL });
const socket = createSocketHandler({ client, processor: pong, signingSecret: SIGNING_SECRET });
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(PORT) });
server.on("connection", (accepted, request) => socket(accepted, request.headers));
server.on("listening", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
