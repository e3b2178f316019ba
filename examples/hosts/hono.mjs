/** Hono, here on Node: `PORT=8080 node examples/hosts/hono.mjs`. */
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { hook } from "./hook.mjs";

const app = new Hono();
app.post("/hook", (context) => hook(context.req.raw));
serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(process.env.PORT) }, ({ port }) =>
  console.log(`listening on http://127.0.0.1:${port}`),
);
