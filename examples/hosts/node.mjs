/** Node without a framework: `PORT=8080 node examples/hosts/node.mjs`. */
import { createServer } from "node:http";
import { toNodeListener } from "@millrace/sdk/node";
import { hook } from "./hook.mjs";

const server = createServer(toNodeListener(hook));
server.listen(Number(process.env.PORT), "127.0.0.1", () =>
  console.log(`listening on http://127.0.0.1:${server.address().port}`),
);
