/** What processors need of Node alone. Everything else of the SDK runs in browsers and workers too. */
export { fileCursors } from "./file-cursors.ts";
export { httpTransport } from "./http-transport.ts";
export { type NodeListenerOptions, toNodeListener } from "./to-node-listener.ts";
