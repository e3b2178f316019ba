/** `JSON.parse` of each line of a file and nothing else: `node parse-lines.mjs FILE`. What a replay of it cannot go below. */
import { createReadStream } from "node:fs";

let rest = "";
let events = 0;
for await (const text of createReadStream(process.argv[2], { encoding: "utf8" })) {
  const lines = (rest + text).split("\n");
  rest = lines.pop();
  for (const line of lines) if (JSON.parse(line).offset > 0) events++;
}
console.log(JSON.stringify({ events }));
